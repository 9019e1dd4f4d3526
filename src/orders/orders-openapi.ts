import type { Sample } from '../platform/http/openapi/product';

/** Orders are the resource of the document's general examples. */
export const ORDERS_SAMPLE: Sample = {
  collection: 'orders',
  permission: 'orders:write',
  step: '`POST /api/v1/orders` makes an order, `GET /api/v1/orders` lists them.',
  fault: { field: 'items.0.quantity', message: 'must be at least 1', code: 'min' },
};

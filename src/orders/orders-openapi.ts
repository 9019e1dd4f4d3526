import type { DocumentPart } from '../platform/http/openapi/declarations';
import { ORDER_STATUSES } from './order-status';
import type { Sample } from '../platform/http/openapi/product';

/** Orders are the resource of the document's general examples. */
export const ORDERS_SAMPLE: Sample = {
  collection: 'orders',
  permission: 'orders:write',
  step: '`POST /api/v1/orders` makes an order, `GET /api/v1/orders` lists them.',
  fault: { field: 'items.0.quantity', message: 'must be at least 1', code: 'min' },
};

/** The names that orders have in the document beside those of their classes. */
export const ordersDocument: DocumentPart = () => ({
  enums: { OrderStatus: { values: ORDER_STATUSES, description: 'The status of an order.' } },
});

import { ORDERS_SAMPLE } from '../../orders/orders-openapi';
import type { Product } from '../../platform/http/openapi/product';

/** The product as its documents and pages introduce it. */
export const PRODUCT: Product = {
  title: 'Orders SaaS API',
  summary: 'Multi-tenant orders.',
  introduction: 'Orders for many companies, each of which sees only its own.',
  tagline: 'Multi-tenant orders with signed webhooks.',
  sample: ORDERS_SAMPLE,
};

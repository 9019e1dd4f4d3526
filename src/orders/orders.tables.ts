import type { Placements } from '../platform/database/sql/tables';

export const ORDERS_PLACEMENTS: Placements = {
  orders: 'distributed',
  order_items: 'distributed',
  order_history: 'distributed',
};

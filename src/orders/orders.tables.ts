import { archivedOf } from '../platform/database/columns';
import type { Placements, TenantTable } from '../platform/database/sql/tables';
import { Order } from './order.entity';

export const ORDERS_PLACEMENTS: Placements = {
  orders: 'distributed',
  order_items: 'distributed',
  order_history: 'distributed',
};

export const ORDERS_TENANT_TABLES: readonly TenantTable[] = [
  {
    table: 'order_history',
    key: { order_id: 'uuid', id: 'uuid' },
    archived: ['order_id', 'id', 'type', 'from_status', 'to_status', 'actor_type', 'actor_id', 'created_at'],
    omitted: [],
  },
  {
    table: 'order_items',
    key: { order_id: 'uuid', position: 'smallint' },
    archived: ['order_id', 'position', 'id', 'product_id', 'product_name', 'quantity', 'unit_price::text'],
    omitted: [],
  },
  {
    table: 'orders',
    key: { id: 'uuid' },
    archived: archivedOf(Order),
    omitted: [],
  },
];

/**
 * The statements of the hot routes, one round trip each. PostgreSQL makes the JSON of responses if that saves parsing
 * and serializing. Each names its tenant, in addition to the policy.
 */
import { columnsOf, jsonOf, rowsOf } from '../platform/database/columns';
import { insertRows, insertValues } from '../platform/database/sql/insert-values';
import type { Row, SqlValue, Statement } from '../platform/database/sql/statement';
import { guardedUpdate } from '../platform/database/sql/guarded-update';
import { firstRows } from '../platform/database/sql/first-rows';
import { jsonBare, jsonList, jsonObject, jsonPlain, jsonText, jsonTime as time } from '../platform/database/sql/json';
import { PAGE_BYTES } from '../platform/http/responses/results';
import { MAX_PAGE } from '../platform/http/requests/fields';
import type { Actor } from '../platform/http/requests/caller';
import { firstIdAt } from '../platform/ids/ids';
import { Order } from './order.entity';
import type { OrderItem } from './order-item.entity';
import type { OrderStatus } from './order-status';
import type { OrderView } from './orders.views';

/** An order as it is written, with its items in their places. */
export interface NewOrder extends Omit<Order, 'tenantId'> {
  items: Omit<OrderItem, 'tenantId' | 'orderId' | 'position'>[];
  historyId: string;
}

/** Filters of lists and exports; times are bounds of ids, whose first 48 bits are the time. */
export interface OrderFilter {
  status?: string;
  customerId?: string;
  currency?: string;
  createdAfter?: Date;
  createdBefore?: Date;
  /** The id of an order, which is not among them. */
  madeAfter?: string;
}

const READ_ITEMS = itemsAs({
  id: jsonPlain('i.id'),
  productId: jsonText('i.product_id'),
  productName: jsonText('i.product_name'),
  quantity: jsonBare('i.quantity'),
  unitPrice: jsonPlain('i.unit_price'),
});

/** The items of the order `o` of the tenant `$1`. */
function itemsAs(members: Record<string, string>): string {
  const rows = 'from order_items i where i.tenant_id = $1 and i.order_id = o.id';
  return jsonList(jsonObject(members), 'i.position', rows);
}

const { version, created_at, updated_at, ...ownMembers } = jsonOf(Order, 'o');

const ORDER_MEMBERS = {
  ...ownMembers,
  // Words of a CHECK need no escapes.
  status: jsonPlain('o.status'),
  currency: jsonPlain('o.currency'),
  items: itemsAs({
    id: jsonPlain('i.id'),
    product_id: jsonText('i.product_id'),
    product_name: jsonText('i.product_name'),
    quantity: jsonBare('i.quantity'),
    unit_price: jsonPlain('i.unit_price'),
  }),
  version,
  created_at,
  updated_at,
} as Record<keyof OrderView, string>;
const ORDER_JSON = jsonObject(ORDER_MEMBERS);

/** The fields of an order in the order of its JSON. */
export const ORDER_FIELDS = Object.keys(ORDER_MEMBERS) as (keyof OrderView)[];

/** An order as the changes of it need it: its columns, and its items in their places. */
export type ReadOrder = Row & Order & Pick<NewOrder, 'items'>;

const READ_ORDER = `select ${columnsOf(Order, 'o')}, (${READ_ITEMS})::json as items
             from orders o where o.tenant_id = $1 and o.id = $2`;

const READ_ALONE = `select ${columnsOf(Order)} from orders where tenant_id = $1 and id = $2`;
const READ_ITEMS_ALONE = `select id, product_id as "productId", product_name as "productName", quantity, unit_price as "unitPrice"
             from order_items where tenant_id = $1 and order_id = $2 order by position`;

/** Reads an order to change it. */
export function readOrder(tenantId: string, id: string): Statement {
  return { name: 'order_read', text: READ_ORDER, values: [tenantId, id] };
}

/** The same as two statements: the order, and its items. Citus plans them with less work than the one. */
export function readOrderApart(tenantId: string, id: string): Statement[] {
  const values = [tenantId, id];
  return [
    { name: 'order_read_alone', text: READ_ALONE, values },
    { name: 'order_read_items', text: READ_ITEMS_ALONE, values },
  ];
}

/**
 * The same as {@link readOrder}, and locks it until the end of the transaction, so that of two changes at once one
 * waits for the other.
 */
export function lockOrder(tenantId: string, id: string): Statement {
  return { name: 'order_lock', text: `${READ_ORDER} for update`, values: [tenantId, id] };
}

/** Writes the changeable columns of an order if its version still is the one before. */
export function updateOrder(order: Order): Statement {
  return {
    name: 'order_update',
    text: guardedUpdate(
      'orders',
      'status = $3, notes = $4, metadata = $5, version = $6, updated_at = $7',
      'tenant_id = $1 and id = $2',
      'version = $6 - 1',
    ),
    values: [
      order.tenantId,
      order.id,
      order.status,
      order.notes,
      JSON.stringify(order.metadata),
      order.version,
      order.updatedAt,
    ],
  };
}

/** Writes orders with their items and the first line of their history. */
export function insertOrders(tenantId: string, actor: Actor, orders: readonly NewOrder[]): Statement[] {
  const [first] = orders;
  const insert = { table: 'orders', shared: { tenant_id: ['uuid', tenantId] }, ...rowsOf(Order, orders) } as const;
  // Arrays are half as fast for one order as VALUES, and one statement for any number of them.
  const rows =
    first && orders.length === 1
      ? [...insertValues({ name: 'order_insert', ...insert }), insertHistory(tenantId, creationOf(first, actor))]
      : [insertRows({ name: 'orders_insert', ...insert }), insertManyCreations(tenantId, actor, orders)];
  return [...rows, insertItems(tenantId, orders)];
}

function insertManyCreations(tenantId: string, actor: Actor, orders: readonly NewOrder[]): Statement {
  return insertRows({
    name: 'order_history_creations',
    table: 'order_history',
    shared: {
      tenant_id: ['uuid', tenantId],
      type: ['text', 'order.created'],
      to_status: ['text', 'pending'],
      actor_type: ['text', actor.type],
      actor_id: ['uuid', actor.id],
    },
    columns: { order_id: 'uuid', id: 'uuid', created_at: 'timestamptz' },
    rows: orders.map((order) => [order.id, order.historyId, order.createdAt]),
  });
}

function insertItems(tenantId: string, orders: readonly NewOrder[]): Statement {
  return insertRows({
    name: 'order_items_insert',
    table: 'order_items',
    shared: { tenant_id: ['uuid', tenantId] },
    columns: {
      order_id: 'uuid',
      position: 'smallint',
      id: 'uuid',
      product_id: 'text',
      product_name: 'text',
      quantity: 'integer',
      unit_price: 'numeric',
    },
    rows: orders.flatMap((order) =>
      order.items.map((item, position) => [
        order.id,
        position,
        item.id,
        item.productId,
        item.productName,
        item.quantity,
        item.unitPrice,
      ]),
    ),
  });
}

/** One order as JSON, with its version. */
export function findOrderJson(tenantId: string, id: string): Statement {
  return {
    name: 'order_json',
    text: `select o.version, ${ORDER_JSON} as json from orders o where o.tenant_id = $1 and o.id = $2`,
    values: [tenantId, id],
  };
}

/** Whether a list must search for its rows: an index serves one filter, and its rows are checked for the others. */
export function isLongRead({ status, customerId, currency }: OrderFilter): boolean {
  return [status, customerId, currency].filter((one) => one !== undefined).length > 1;
}

/** Above this number of rows a list checks their size while it reads: fewer rows are small enough in any case. */
const MANY_ROWS = 21;
/** The most rows that are asked for: the longest page, and one more. */
const MAX_ROWS = MAX_PAGE + 1;

/**
 * The page after `afterId`, newest first; ask for one more than the page holds to find out whether there is more. If
 * there are many rows, it returns those that fit into one page, and one more.
 */
export function listOrdersJson(
  tenantId: string,
  filter: OrderFilter,
  afterId: string | undefined,
  limit: number,
): Statement {
  const values: SqlValue[] = [tenantId];
  const conditions = ['o.tenant_id = $1'];
  const names: string[] = [];
  const where = (name: string, condition: string, value: SqlValue): void => {
    values.push(value);
    names.push(name);
    conditions.push(`${condition} $${values.length}`);
  };
  if (filter.status !== undefined) where('status', 'o.status =', filter.status);
  if (filter.customerId !== undefined) where('customer', 'o.customer_id =', filter.customerId);
  if (filter.currency !== undefined) where('currency', 'o.currency =', filter.currency);
  if (filter.createdAfter) where('from', 'o.id >=', firstIdAt(filter.createdAfter.getTime() + 1));
  if (filter.madeAfter !== undefined) where('after', 'o.id >', filter.madeAfter);
  // The page's own bound is the tighter one: one condition, so that the index is entered at the right place.
  const before = filter.createdBefore && firstIdAt(filter.createdBefore.getTime());
  const upper = [afterId, before].filter((id) => id !== undefined).sort()[0];
  if (upper !== undefined) where('to', 'o.id <', upper);
  values.push(limit);
  const query = `select o.id, ${ORDER_JSON} as json from orders o where ${conditions.join(' and ')}`;
  const most = limit <= MANY_ROWS ? MANY_ROWS : MAX_ROWS;
  // The best index for several filters depends on their values.
  const text = isLongRead(filter)
    ? `${query} order by o.id desc limit $${values.length}`
    : firstRows(query, 'o.id desc', most, `$${values.length}`);
  if (limit <= MANY_ROWS) return { name: `orders_list_${names.join('_')}`, text, values };
  return {
    name: `orders_list_bounded_${names.join('_')}`,
    text: `select id, json from (
             select *, sum(octet_length(json)) over (order by id desc) - octet_length(json) as bytes_before
               from (${text}) page) bounded
            where bytes_before <= ${PAGE_BYTES} order by id desc`,
    values,
  };
}

/** A line of an order's history. */
export interface HistoryLine {
  orderId: string;
  id: string;
  type: string;
  fromStatus: OrderStatus | null;
  toStatus: OrderStatus;
  actor: Actor;
  createdAt: Date;
}

function creationOf({ id: orderId, historyId: id, createdAt }: NewOrder, actor: Actor): HistoryLine {
  return { orderId, id, type: 'order.created', fromStatus: null, toStatus: 'pending', actor, createdAt };
}

/** Writes a line of an order's history. */
export function insertHistory(tenantId: string, line: HistoryLine): Statement {
  return {
    name: 'order_history_insert',
    text: `insert into order_history (tenant_id, order_id, id, type, from_status, to_status, actor_type, actor_id, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    values: [
      tenantId,
      line.orderId,
      line.id,
      line.type,
      line.fromStatus,
      line.toStatus,
      line.actor.type,
      line.actor.id,
      line.createdAt,
    ],
  };
}

/** A page of an order's history, newest first. */
export function listHistoryJson(
  tenantId: string,
  orderId: string,
  afterId: string | undefined,
  limit: number,
): Statement {
  const bound = afterId === undefined ? '' : ' and h.id < $4';
  const query = `select h.id, json_build_object(
               'id', h.id, 'type', h.type, 'from_status', h.from_status, 'to_status', h.to_status,
               'actor', json_build_object('type', h.actor_type, 'id', h.actor_id),
               'created_at', ${time('h.created_at')})::text as json
             from order_history h where h.tenant_id = $1 and h.order_id = $2${bound}`;
  return {
    name: afterId === undefined ? 'order_history_first' : 'order_history_next',
    text: firstRows(query, 'h.id desc', MAX_ROWS, '$3'),
    values: afterId === undefined ? [tenantId, orderId, limit] : [tenantId, orderId, limit, afterId],
  };
}

import { Injectable } from '@nestjs/common';
import { AuditLog } from '../platform/audit/audit-log';
import { hasChangedMeanwhile } from '../platform/database/sql/guarded-update';
import { TenantDatabase, type TenantTransaction } from '../platform/database/tenant-database';
import { AppError, NotFound } from '../platform/errors';
import { newId, newTimedId } from '../platform/ids/ids';
import type { Caller } from '../platform/http/requests/caller';
import { Idempotency, type IdempotentRequest } from '../platform/http/responses/idempotency';
import type { Precondition } from '../platform/http/responses/conditional-requests';
import {
  type JsonPage,
  type JsonRow,
  Outcome,
  Representation,
  type WriteResult,
} from '../platform/http/responses/results';
import type { PageDto } from '../platform/http/requests/page.dto';
import { Cursors } from '../platform/http/responses/pagination';
import { type NewEvent, Outbox } from '../platform/outbox/outbox';
import { type CountedAmount, FOR_GOOD, TenantUsage } from '../platform/usage/tenant-usage';
import { minorUnits } from './currencies';
import { Money } from './money';
import { canTransition, type OrderStatus } from './order-status';
import type { CreateOrderDto, ListOrdersDto, OrderFilters, UpdateOrderDto } from './orders.requests';
import { viewOf } from './orders.views';
import * as queries from './orders.queries';

/** Rows of orders, their items and their history. */
export const ORDER_ROWS: CountedAmount = { name: 'order_rows', perDay: 0, storedDays: FOR_GOOD };

/** The rules of orders. */
@Injectable()
export class OrdersService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly usage: TenantUsage,
  ) {}

  /**
   * Creates an order with its items and history, and stores the response under the caller's idempotency key, if any.
   */
  create(caller: Caller, input: CreateOrderDto, request?: IdempotentRequest): Promise<WriteResult> {
    this.usage.assertLeft(caller);
    return this.idempotency.write(caller, request, (tx) => {
      const order = newOrder(input);
      this.insert(tx, caller, [order]);
      const body = JSON.stringify(viewOf(order, order.items));
      this.outbox.publish(tx, [createdEvent(order, body)]);
      return new Outcome(body, { id: order.id, version: 1 });
    });
  }

  /** Creates all of the orders, or none. */
  createBatch(caller: Caller, inputs: CreateOrderDto[], request?: IdempotentRequest): Promise<WriteResult> {
    this.usage.assertLeft(caller);
    return this.idempotency.write(caller, request, (tx) => {
      const orders = inputs.map(newOrder);
      this.insert(tx, caller, orders);
      const bodies = orders.map((order) => JSON.stringify(viewOf(order, order.items)));
      this.outbox.publish(
        tx,
        orders.map((order, index) => createdEvent(order, bodies[index] as string)),
      );
      return new Outcome(`{"data":[${bodies.join(',')}]}`);
    });
  }

  /** @throws NotFound */
  async find(caller: Caller, id: string): Promise<Representation> {
    // Citus plans the statement below at each execution, which costs more than it saves here.
    if (this.database.isDistributed) return represent(found(await this.read(caller, id), id));
    const [row] = await this.database.query<{ version: number; json: string }>(
      caller,
      queries.findOrderJson(caller.tenantId, id),
    );
    if (!row) throw new NotFound('Order', id);
    return new Representation(row.json, row.version);
  }

  /** A page of orders, newest first. @throws AppError `invalid_cursor` */
  list(caller: Caller, { limit, cursor, ...filters }: ListOrdersDto): Promise<JsonPage> {
    const scope = { tenant: caller, list: 'orders', filters };
    const filter = toFilter(filters);
    return this.cursors.page(scope, { limit, cursor }, (afterId, count) => {
      const statement = queries.listOrdersJson(caller.tenantId, filter, afterId, count);
      return queries.isLongRead(filter)
        ? this.database.queryLong<JsonRow>(caller, statement)
        : this.database.queryReplica<JsonRow>(caller, statement);
    });
  }

  /** A page of an order's history, newest first. @throws NotFound; AppError `invalid_cursor` */
  async history(caller: Caller, id: string, page: PageDto): Promise<JsonPage> {
    await this.find(caller, id);
    const scope = { tenant: caller, list: `orders/${id}/events`, filters: {} };
    return this.cursors.page(scope, page, (afterId, count) =>
      this.database.query<JsonRow>(caller, queries.listHistoryJson(caller.tenantId, id, afterId, count)),
    );
  }

  /** Changes notes and metadata; without a difference the version stays. @throws NotFound; VersionConflict */
  update(caller: Caller, id: string, input: UpdateOrderDto, ifMatch?: Precondition): Promise<Representation> {
    return this.change(caller, id, (tx, order) => {
      ifMatch?.assertVersion(order.version);
      const metadata = mergeMetadata(order.metadata, input.metadata ?? {});
      const notes = input.notes === undefined ? order.notes : input.notes;
      if (notes !== order.notes || !sameMetadata(metadata, order.metadata)) {
        return this.save(tx, caller, order, { notes, metadata }, 'order.updated');
      }
      return represent(order);
    });
  }

  /**
   * Moves an order to another status. One of two concurrent changes wins; the other gets the new status.
   * @throws NotFound; VersionConflict; AppError `business_rule_violation`
   */
  changeStatus(caller: Caller, id: string, status: OrderStatus, ifMatch?: Precondition): Promise<Representation> {
    return this.change(caller, id, (tx, order) => {
      ifMatch?.assertVersion(order.version);
      if (!canTransition(order.status, status)) {
        throw new AppError('business_rule_violation', `Cannot transition from ${order.status} to ${status}`);
      }
      this.audit.record(tx, caller, {
        action: 'order.status_changed',
        target: { type: 'order', id },
        changes: { status: [order.status, status] },
        isRoutine: true,
      });
      return this.save(tx, caller, order, { status }, `order.${status}`);
    });
  }

  /**
   * Changes an order in two round trips that hold neither a connection nor a lock between them: it is read, and written
   * if its version is the same. If another change was faster, or has the lock, it is read again under the lock, which
   * waits for its turn on a connection of the tenant's share.
   */
  private async change(
    caller: Caller,
    id: string,
    work: (tx: TenantTransaction, order: queries.ReadOrder) => Representation,
  ): Promise<Representation> {
    const read = await this.read(caller, id);
    try {
      return await this.database.transaction(caller, async (tx) => work(tx, found(read, id)));
    } catch (error) {
      if (!hasChangedMeanwhile(error)) throw error;
    }
    return this.database.transaction(caller, async (tx) => {
      const locked = await tx.query<queries.ReadOrder>(queries.lockOrder(caller.tenantId, id));
      return work(tx, found(locked, id));
    });
  }

  /** The order of this id, if there is one. The items of an order never change: their statement may run later. */
  private async read(caller: Caller, id: string): Promise<queries.ReadOrder[]> {
    const { tenantId } = caller;
    if (!this.database.isDistributed) return this.database.query(caller, queries.readOrder(tenantId, id));
    const [orders, items] = await this.database.queryAll(caller, queries.readOrderApart(tenantId, id));
    return (orders as queries.ReadOrder[]).map((order) => ({ ...order, items: items as queries.ReadOrder['items'] }));
  }

  private insert(tx: TenantTransaction, { tenantId, actor }: Caller, orders: queries.NewOrder[]): void {
    tx.insert(...queries.insertOrders(tenantId, actor, orders));
    let rows = 0;
    for (const { items } of orders) rows += 1 + items.length + 1;
    this.usage.count(tx, ORDER_ROWS.name, rows);
  }

  /** Writes a change with its line of history and its event, and returns the new order. */
  private save(
    tx: TenantTransaction,
    caller: Caller,
    order: queries.ReadOrder,
    change: Partial<Pick<queries.ReadOrder, 'notes' | 'metadata' | 'status'>>,
    type: string,
  ): Representation {
    this.usage.assertLeft(caller);
    this.usage.count(tx, ORDER_ROWS.name, 1);
    const { id: historyId, at } = newTimedId();
    const fromStatus = order.status;
    Object.assign(order, change, { version: order.version + 1, updatedAt: at });
    tx.defer(queries.updateOrder(order));
    tx.insert(
      queries.insertHistory(caller.tenantId, {
        orderId: order.id,
        id: historyId,
        type,
        fromStatus,
        toStatus: order.status,
        actor: caller.actor,
        createdAt: at,
      }),
    );
    const now = represent(order);
    this.outbox.publish(tx, [{ type, data: now.json, aggregateId: order.id, sequence: order.version }]);
    return now;
  }
}

function represent(order: queries.ReadOrder): Representation {
  return new Representation(JSON.stringify(viewOf(order, order.items)), order.version);
}

function createdEvent(order: queries.NewOrder, data: string): NewEvent {
  return { type: 'order.created', data, aggregateId: order.id, sequence: 1 };
}

/** The list's filters as conditions. */
export function toFilter(filters: OrderFilters): queries.OrderFilter {
  return {
    status: filters.status,
    customerId: filters.customer_id,
    currency: filters.currency,
    createdAfter: filters.created_after,
    createdBefore: filters.created_before,
    madeAfter: filters.after_id,
  };
}

function found([order]: queries.ReadOrder[], id: string): queries.ReadOrder {
  if (!order) throw new NotFound('Order', id);
  return order;
}

function newOrder(input: CreateOrderDto): queries.NewOrder {
  const { id, at } = newTimedId();
  const lines = input.items.map((item) => ({ quantity: item.quantity, unitPrice: item.unit_price }));
  return {
    id,
    customerId: input.customer_id,
    status: 'pending',
    totalAmount: Money.sumOf(lines, minorUnits(input.currency) as number).toString(),
    currency: input.currency,
    notes: input.notes ?? null,
    metadata: input.metadata ?? {},
    version: 1,
    createdAt: at,
    updatedAt: at,
    historyId: newId(),
    items: input.items.map((item) => ({
      id: newId(),
      productId: item.product_id,
      productName: item.product_name,
      quantity: item.quantity,
      unitPrice: item.unit_price.toString(),
    })),
  };
}

function mergeMetadata(current: Record<string, string>, change: Record<string, string | null>): Record<string, string> {
  const merged = new Map(Object.entries(current));
  for (const [key, value] of Object.entries(change)) {
    if (value === null) merged.delete(key);
    else merged.set(key, value);
  }
  if (merged.size > 50) {
    throw new AppError('validation_error', 'The request has invalid fields; see errors.', {
      errors: [{ field: 'metadata', message: 'must have at most 50 entries once merged', code: 'max_entries' }],
    });
  }
  return Object.fromEntries(merged);
}

function sameMetadata(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

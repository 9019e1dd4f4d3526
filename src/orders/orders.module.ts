/**
 * A tenant's orders. Nouns: an *order* has *items* in the order they were sent, a *status* that moves along
 * `order-status.ts`, and a *history* of changes with their actors.
 *
 * The flow: create writes the order, its items, its history, its event and the stored response in one transaction, for
 * one order in one round trip. Changes read an order and write it if its version is the same, so that one of two
 * concurrent ones succeeds; the other one is decided again under the row's lock. Frequent reads are one statement whose
 * JSON PostgreSQL makes (`orders.queries.ts`); the rest uses repositories.
 *
 * Invariants: the total is the exact sum of the lines; each version has its line of history; `created_at` is
 * the time in the id, so that lists use the primary key.
 */
import { Module } from '@nestjs/common';
import { DatabaseModule } from '../platform/database/database.module';
import { HttpPlatformModule } from '../platform/http/http.module';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { TenantUsage } from '../platform/usage/tenant-usage';
import { ORDER_EVENT_TYPES } from './order-event-types';
import { Order } from './order.entity';
import { OrderItem } from './order-item.entity';
import { OrdersController } from './orders.controller';
import { OrdersExport } from './orders-export';
import { ORDER_ROWS, OrdersService } from './orders.service';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import './orders.permissions';

@Module({
  imports: [AuditPlatformModule, DatabaseModule.forFeature([Order, OrderItem]), HttpPlatformModule, OutboxModule],
  controllers: [OrdersController],
  providers: [OrdersService, OrdersExport],
})
export class OrdersModule {
  constructor(types: EventCatalogue, usage: TenantUsage) {
    types.add(...ORDER_EVENT_TYPES);
    usage.define(ORDER_ROWS);
  }
}

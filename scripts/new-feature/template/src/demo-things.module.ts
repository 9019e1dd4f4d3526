/**
 * A tenant's demo things. Nouns: a *demo thing* has a *name*, *notes*, and a *version* that grows with each change.
 *
 * The flow: create writes the row, its audit entry, its event and the stored response in one transaction and one round
 * trip. Changes lock the row first, so that one of two concurrent ones succeeds. Reads are one statement whose JSON
 * PostgreSQL makes (`demo-things.queries.ts`).
 *
 * Invariants: a change, its audit entry and its event are committed together or not at all; `created_at` is the time in
 * the id, so that lists use the primary key.
 */
import { Module } from '@nestjs/common';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { DatabaseModule } from '../platform/database/database.module';
import { HttpPlatformModule } from '../platform/http/http.module';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { TenantUsage } from '../platform/usage/tenant-usage';
import { DEMO_THING_EVENT_TYPES } from './demo-thing-event-types';
import { DemoThing } from './demo-thing.entity';
import { DemoThingsController } from './demo-things.controller';
import { DEMO_THING_ROWS, DemoThingsService } from './demo-things.service';
import './demo-things.permissions';

@Module({
  imports: [AuditPlatformModule, DatabaseModule.forFeature([DemoThing]), HttpPlatformModule, OutboxModule],
  controllers: [DemoThingsController],
  providers: [DemoThingsService],
})
export class DemoThingsModule {
  constructor(types: EventCatalogue, usage: TenantUsage) {
    types.add(...DEMO_THING_EVENT_TYPES);
    usage.define(DEMO_THING_ROWS);
  }
}

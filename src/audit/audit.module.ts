/**
 * Reading the audit log. Nouns: the feature of a change writes its *entry* (`platform/audit`); the *tree* takes entries
 * as leaves, in the worker (`folding`); a *checkpoint* is its signed head; a *proof* shows that an entry is in the
 * tree, or that one tree begins with another. Invariants: a tenant reads only its own log; the data of a
 * proof never change.
 */
import { Module } from '@nestjs/common';
import { HttpPlatformModule } from '../platform/http/http.module';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { AUDIT_EVENT_TYPES } from './audit-event-types';
import { AuditExport } from './audit-export';
import { AuditVerification } from './audit-verification';
import { AuditKeysController } from './audit-keys.controller';
import { AuditController } from './audit.controller';
import { AuditService } from './audit.service';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { HooksModule } from '../platform/hooks/hooks.module';

@Module({
  imports: [AuditPlatformModule, HooksModule, HttpPlatformModule, OutboxModule],
  controllers: [AuditController, AuditKeysController],
  providers: [AuditService, AuditExport, AuditVerification],
})
export class AuditModule {
  constructor(types: EventCatalogue) {
    types.add(...AUDIT_EVENT_TYPES);
  }
}

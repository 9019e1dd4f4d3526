/**
 * The worker's half of the audit log. Nouns: a committed entry *waits* until the *tree* of its tenant takes it as a
 * *leaf*; the *head* of the tree (its size and root) is signed as a *checkpoint*. Invariants: an entry is a
 * leaf once; a leaf or node never changes; the leaves, the head and their events commit together.
 */
import { Module } from '@nestjs/common';
import { AuditLog } from '../platform/audit/audit-log';
import { AuditDatabase } from '../platform/database/roles/audit-database';
import { NO_TENANT } from '../platform/database/tenant-database';
import { Hooks } from '../platform/hooks/hooks';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { AuditFolder } from './folding/audit-folder';
import { AuditJob } from './folding/audit-job';
import { Erasures } from './folding/erasures';
import { RefusalWriter } from './folding/refusal-writer';
import { SigningKeys } from './folding/signing-key';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { HooksModule } from '../platform/hooks/hooks.module';
import { SecretBoxModule } from '../platform/crypto/secret-box.module';

@Module({
  imports: [AuditPlatformModule, HooksModule, OutboxModule, SecretBoxModule],
  providers: [AuditDatabase, AuditFolder, AuditJob, Erasures, RefusalWriter, SigningKeys],
})
export class AuditWorkerModule {
  constructor(hooks: Hooks, log: AuditLog) {
    // The memberships have ended long before: the values go from the logs of all tenants.
    hooks.userErased.on((tx, { userId }) => log.erasePerson(tx, NO_TENANT, userId));
  }
}

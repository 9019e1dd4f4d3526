/** The worker's half of API keys: the leader tells members of keys that expire soon, and deletes long expired ones. */
import { Module } from '@nestjs/common';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { KeyExpiryDatabase } from '../platform/database/roles/key-expiry-database';
import { LeaderTasks, LeaderTasksModule } from '../platform/leader-election/leader-tasks';
import './api-keys.permissions';
import { KeyExpiry } from './key-expiry';
import { MailPlatformModule } from '../platform/mail/mail.module';

const INTERVAL_MS = 60_000;

@Module({
  imports: [AuditPlatformModule, LeaderTasksModule, MailPlatformModule],
  providers: [KeyExpiry, KeyExpiryDatabase],
})
export class ApiKeysWorkerModule {
  constructor(tasks: LeaderTasks, expiry: KeyExpiry) {
    tasks.add({ intervalMs: INTERVAL_MS, run: () => expiry.run() });
  }
}

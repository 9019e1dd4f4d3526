/** The worker's half of API keys: the leader has members told of keys that expire soon. */
import { Module } from '@nestjs/common';
import { KeyExpiryDatabase } from '../platform/database/roles/key-expiry-database';
import { LeaderTasks } from '../platform/leader-election/leader-tasks';
import './api-keys.permissions';
import { KeyExpiry } from './key-expiry';

const INTERVAL_MS = 60_000;

@Module({ providers: [KeyExpiry, KeyExpiryDatabase] })
export class ApiKeysWorkerModule {
  constructor(tasks: LeaderTasks, expiry: KeyExpiry) {
    tasks.add({ intervalMs: INTERVAL_MS, run: () => expiry.run() });
  }
}

import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Config } from '../config/config';
import { DatabaseHealth } from '../database/database-health';
import { KEY_PREFIX } from '../queue/key-prefix';
import { connectRedis, type RedisClient } from '../redis/redis';

/** In the slot of the queue's keys. */
const PROBE_KEY = `${KEY_PREFIX}:readiness`;
const PROBE_KEPT_MS = 60_000;

/** Checks the backend of BullMQ: Redis, or BullMQ's tables in PostgreSQL. */
@Injectable()
export class QueueHealth implements OnModuleDestroy {
  private readonly redis?: RedisClient;

  constructor(
    config: Config,
    private readonly database: DatabaseHealth,
  ) {
    if (!config.REDIS_URL) return;
    this.redis = connectRedis(config.REDIS_URL, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      retryStrategy: (attempt: number) => Math.min(100 * 2 ** Math.min(attempt, 4), 1_000),
    });
    this.redis.on('error', () => undefined); // the result of the check reports it
  }

  onModuleDestroy(): void {
    this.redis?.disconnect();
  }

  /** @throws when it does not reply; the caller bounds the time */
  async assertThere(): Promise<void> {
    // A write: a server that is full, has become a replica or cannot save responds to a PING, but accepts no job.
    if (this.redis) await this.redis.set(PROBE_KEY, '1', 'PX', PROBE_KEPT_MS);
    else await this.database.assertQueueTables();
  }
}

import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Queue } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { type Config, ConfigError, required } from '../config/config';
import { CONFIG } from '../config/config.module';
import { LOGGER } from '../observability/logger.module';
import { DELIVERY_QUEUE, producerOptions, withTimeout } from './queue';

/** The queue's UI (bull-board) for an operator, where `QUEUE_UI_PORT` is set; else nothing of it is loaded. */
@Injectable()
export class QueueUi implements OnModuleInit, OnModuleDestroy {
  private server?: FastifyInstance;
  private queue?: Queue;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws ConfigError when the address cannot be used */
  async onModuleInit(): Promise<void> {
    const { QUEUE_UI_PORT: port = 'off', QUEUE_UI_USER: user } = this.config;
    if (port === 'off') return;
    const host = this.config.QUEUE_UI_HOST ?? this.config.HOST;
    const [{ createQueueUi }, { BasicAuth }] = await Promise.all([
      import('./queue-ui-server.js'),
      import('../http/server/basic-auth.js'),
    ]);
    this.queue = new Queue(DELIVERY_QUEUE, producerOptions(this.config));
    this.queue.on('error', () => undefined); // away: what is asked for meanwhile is answered with an error
    const auth = new BasicAuth(user, required(this.config, 'QUEUE_UI_PASSWORD'), 'queue');
    this.server = await createQueueUi(this.queue, auth, this.logger);
    try {
      const url = await this.server.listen({ port, host });
      this.logger.info({ url }, 'the queue UI');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new ConfigError([`QUEUE_UI_PORT ${port} cannot be had on ${host} (${code}); choose another, or off`]);
    }
  }

  async onModuleDestroy(): Promise<void> {
    await this.server?.close();
    if (this.queue) await withTimeout(this.queue.close()).catch(() => undefined);
  }
}

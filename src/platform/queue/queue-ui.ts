import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Queue } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { Config, ConfigError, required } from '../config/config';
import { LOGGER } from '../observability/logger.module';
import { type DescribedQueue, prefixOfPart, producerOptions, queueParts, withTimeout } from './queue';

/** Injection token of the {@link DescribedQueue}s that the UI shows; the process's module collects them. */
export const DESCRIBED_QUEUES = Symbol('DESCRIBED_QUEUES');

/** The queue's UI (bull-board) for an operator, if `QUEUE_UI_PORT` is set; otherwise its code is not loaded. */
@Injectable()
export class QueueUi implements OnModuleInit, OnModuleDestroy {
  private server?: FastifyInstance;
  private queues: Queue[] = [];

  constructor(
    private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(DESCRIBED_QUEUES) private readonly described: readonly DescribedQueue[],
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
    const parts = Array.from({ length: queueParts(this.config) }, (_, part) => part);
    const shown = this.described.flatMap(({ name, description }) =>
      parts.map((part) => ({
        queue: new Queue(name, producerOptions(this.config, undefined, prefixOfPart(part))),
        description,
        // The page tells queues apart by their names.
        prefix: part === 0 ? '' : `${part}-`,
      })),
    );
    this.queues = shown.map(({ queue }) => queue);
    // Without a connection the UI answers requests with an error.
    for (const queue of this.queues) queue.on('error', () => undefined);
    const auth = new BasicAuth(user, required(this.config, 'QUEUE_UI_PASSWORD'), 'queue');
    this.server = await createQueueUi(shown, auth, this.logger);
    try {
      const url = await this.server.listen({ port, host });
      this.logger.info({ url }, 'the queue UI');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new ConfigError([`QUEUE_UI_PORT ${port} cannot be used on ${host} (${code}); choose another, or off`]);
    }
  }

  async onModuleDestroy(): Promise<void> {
    await this.server?.close();
    await Promise.all(this.queues.map((queue) => withTimeout(queue.close()).catch(() => undefined)));
  }
}

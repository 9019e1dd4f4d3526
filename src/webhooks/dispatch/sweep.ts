import type { Logger } from 'pino';
import type { WaitingEndpoint } from './waiting.queries';

/**
 * Finds waiting deliveries after a start, a lost message or a lost queue, and those that became due unnoticed. One
 * reading at a time.
 */
export class Sweep {
  private current?: Promise<void>;

  /** @param onFound is called with each reading */
  constructor(
    private readonly find: () => Promise<WaitingEndpoint[]>,
    private readonly onFound: (waiting: readonly WaitingEndpoint[]) => void,
    private readonly logger: Logger,
  ) {}

  /** Reads once; never rejects. */
  run(): Promise<void> {
    this.current ??= this.read().finally(() => (this.current = undefined));
    return this.current;
  }

  /** Reads again after a running read; never rejects. */
  async runAgain(): Promise<void> {
    await this.current;
    await this.run();
  }

  private async read(): Promise<void> {
    try {
      this.onFound(await this.find());
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'the sweep failed');
    }
  }
}

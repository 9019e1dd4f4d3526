import { randomUUID } from 'node:crypto';
import { type ApiClient, orderInput } from './client';

/** The result of one request of the load. */
export interface Outcome {
  kind: 'create' | 'list' | 'read';
  /** The status, or 0 without a response. */
  status: number;
  /** The response's text, or the reason why there is none. */
  text: string;
  headers: Headers;
  begunAt: number;
  tookMs: number;
  /** Of a create: its key, and the order's id after a success. */
  key?: string;
  orderId?: string;
}

/** A create that was sent, and can be repeated. */
export interface Create {
  key: string;
  body: Record<string, unknown>;
}

/**
 * A steady load of one tenant: half creates, each with an `Idempotency-Key` of its own, a quarter lists, a quarter
 * reads of created orders. It keeps its rate with or without responses.
 */
export class Load {
  readonly outcomes: Outcome[] = [];
  readonly creates: Create[] = [];
  private readonly running = new Set<Promise<void>>();
  private readonly timer: NodeJS.Timeout;
  private sent = 0;
  private lastOrder?: string;

  constructor(
    private readonly tenant: ApiClient,
    perSecond: number,
  ) {
    this.timer = setInterval(() => this.send(), 1000 / perSecond);
  }

  /** Sends no more requests, and waits for those in flight. */
  async stop(): Promise<Outcome[]> {
    clearInterval(this.timer);
    await Promise.all(this.running);
    return this.outcomes;
  }

  /** The unsuccessful ones. */
  get failures(): Outcome[] {
    return this.outcomes.filter(({ status }) => status !== 200 && status !== 201);
  }

  private send(): void {
    const turn = this.sent++ % 4;
    if (turn % 2 === 0) {
      const create = { key: randomUUID(), body: orderInput() };
      this.creates.push(create);
      this.track(
        'create',
        () => this.tenant.post('/orders', create.body, { 'idempotency-key': create.key }),
        create.key,
      );
    } else if (turn === 1 || !this.lastOrder) {
      this.track('list', () => this.tenant.get('/orders?limit=5'));
    } else {
      const path = `/orders/${this.lastOrder}`;
      this.track('read', () => this.tenant.get(path));
    }
  }

  private track(kind: Outcome['kind'], ask: () => ReturnType<ApiClient['get']>, key?: string): void {
    const begunAt = Date.now();
    const done = ask()
      .then(
        ({ status, text, headers, body }) => {
          const orderId = kind === 'create' && status === 201 ? (body.id as string) : undefined;
          if (orderId) this.lastOrder = orderId;
          return { status, text, headers, orderId };
        },
        (error: Error & { cause?: Error }) => ({
          status: 0,
          text: `${error.message} ${error.cause?.message ?? ''}`,
          headers: new Headers(),
        }),
      )
      .then((outcome) => void this.outcomes.push({ kind, key, begunAt, tookMs: Date.now() - begunAt, ...outcome }))
      .finally(() => this.running.delete(done));
    this.running.add(done);
  }
}

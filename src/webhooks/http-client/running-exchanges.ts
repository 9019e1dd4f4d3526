import { performance } from 'node:perf_hooks';
import type { HttpExchange } from './http-exchange';
import { SendFailure } from './send-failure';

/**
 * The exchanges in progress, the oldest first. All have the same timeout, so that one timer, for the oldest, serves for
 * every deadline.
 */
export class RunningExchanges {
  readonly #all = new Set<HttpExchange>();
  #timer: NodeJS.Timeout | undefined;

  /** @param timeout of an exchange, milliseconds */
  constructor(private readonly timeout: number) {}

  get size(): number {
    return this.#all.size;
  }

  /** Adds an exchange that has just begun; it fails at its deadline. */
  add(exchange: HttpExchange): void {
    this.#all.add(exchange);
    this.#timer ??= this.#timerOf(exchange);
  }

  delete(exchange: HttpExchange): void {
    this.#all.delete(exchange);
  }

  /** The number of exchanges in progress for at least this time, milliseconds. */
  inFlightFor(milliseconds: number): number {
    const before = performance.now() - milliseconds;
    let out = 0;
    for (const { began } of this.#all) {
      if (began > before) break;
      out++;
    }
    return out;
  }

  /** Cuts off the responses that have become too long. */
  watch(): void {
    for (const exchange of this.#all) exchange.watch();
  }

  /** Ends the timer; no exchange is added any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #timerOf(exchange: HttpExchange): NodeJS.Timeout {
    return setTimeout(() => this.#expire(), exchange.began + this.timeout - performance.now()).unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const before = performance.now() - this.timeout;
    for (const exchange of this.#all) {
      if (exchange.began > before) {
        this.#timer = this.#timerOf(exchange);
        return;
      }
      exchange.fail(new SendFailure('timed out', `no complete response in ${this.timeout} ms`));
    }
  }
}

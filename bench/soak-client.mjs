/** The client of the soak: requests with deadlines, and the judgement of their responses. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

/** Longer than a process is ever frozen. */
const RESPONSE_WITHIN_MS = 20_000;
const AGAIN_AFTER_MS = 250;
/** The longest a request may be repeated until it succeeds. */
const SETTLED_WITHIN_MS = 120_000;
/** Refusals that any request may get at any time, and that a client repeats. */
const REFUSALS = new Set([429, 503]);

/** A tenant of the soak. @typedef {{ id: string, token: string, orders: object[] }} Tenant */

/** The response to a request; its status is 0 if there was none. @typedef {{ status: number, body?: any }} Answer */

/** Sends requests to the API processes in turn, past those that are not ready, and counts the results. */
export class SoakClient {
  #apis;
  #pools;
  #turn = 0;
  /** By kind of request: successes, refusals (429 and 503), and requests without a response. */
  counts = {};

  /**
   * @param {{ url: string, isUp: boolean }[]} apis
   * @param {(what: string, detail: object) => void} fault hears of responses that must not be
   */
  constructor(apis, fault) {
    this.#apis = apis;
    this.#pools = apis.map(({ url }) => new Pool(url, { connections: 16, connect: { timeout: 5_000 } }));
    this.fault = fault;
  }

  /** Sends a request once. @returns {Promise<Answer>} */
  async once(kind, method, path, tenant, { body, key, expect = [] } = {}) {
    const pool = this.#next();
    const counts = (this.counts[kind] ??= { succeeded: 0, refused: 0, unanswered: 0 });
    let answer;
    try {
      const response = await pool.request({
        method,
        path: `/api/v1${path}`,
        headers: {
          ...(tenant && { authorization: `Bearer ${tenant.token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(key !== undefined && { 'idempotency-key': key }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(RESPONSE_WITHIN_MS),
      });
      const text = await response.body.text();
      answer = { status: response.statusCode, headers: response.headers, text };
    } catch (error) {
      counts.unanswered++;
      return { status: 0, reason: error.code ?? error.name };
    }
    const { status, headers, text } = answer;
    if (status < 300) {
      counts.succeeded++;
      return { status, body: path.includes('/export') ? text : text === '' ? undefined : JSON.parse(text) };
    }
    if (REFUSALS.has(status)) {
      counts.refused++;
      if (headers['retry-after'] === undefined) this.fault('a refusal without Retry-After', { method, path, text });
    } else if (!expect.includes(status)) {
      this.fault(`the response ${status} to ${method} ${path}`, { request: body, response: text, headers });
    }
    return { status, reason: text };
  }

  /** Repeats a request until it succeeds; undefined after too long, which is a fault. */
  async untilDone(kind, method, path, tenant, options = {}) {
    let answer;
    for (
      const deadline = performance.now() + SETTLED_WITHIN_MS;
      performance.now() < deadline;
      await sleep(AGAIN_AFTER_MS)
    ) {
      answer = await this.once(kind, method, path, tenant, options);
      if (answer.status >= 200 && answer.status < 300) return answer;
    }
    this.fault(`${method} ${path} did not succeed in ${SETTLED_WITHIN_MS} ms`, { request: options, last: answer });
    return undefined;
  }

  /** As a balancer with health checks does: any of them if none is ready. */
  #next() {
    for (let i = 0; i < this.#apis.length; i++) {
      const at = this.#turn++ % this.#apis.length;
      if (this.#apis[at].isUp) return this.#pools[at];
    }
    return this.#pools[this.#turn++ % this.#apis.length];
  }

  async close() {
    await Promise.all(this.#pools.map((pool) => pool.destroy()));
  }
}

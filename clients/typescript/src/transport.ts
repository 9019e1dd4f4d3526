import type { Credential } from './credential';
import { backoffMs, type RetryOptions, retryAfterMs, sleep } from './retries';
import { KEYED_POSTS, OPEN_PATHS } from './routes';

/** How requests are made. */
export interface TransportOptions extends RetryOptions {
  fetch: typeof globalThis.fetch;
  /** For one attempt: until the whole response for JSON, until its head for a stream. */
  timeoutMs: number;
  /** Repeats every request, not only those that have a key or change nothing. */
  repeatAll?: boolean;
}

const BUFFERED = /^application\/(problem\+)?json\b/;
/** Requests that were not done, or whose outcome is unknown: the service is overloaded, or a balancer lost it. */
const TRANSIENT = new Set([429, 502, 503, 504]);

/** Sends requests: signed with the credential, and repeated if that is safe. */
export class Transport {
  constructor(
    private readonly credential: Credential,
    private readonly options: TransportOptions,
  ) {}

  /** Gives a request what its route takes: the credential, and a key that makes it safe to repeat. */
  prepare(request: Request, path: string): void {
    const { bearer } = this.credential;
    if (bearer !== undefined && !OPEN_PATHS.has(path)) request.headers.set('authorization', `Bearer ${bearer}`);
    if (request.method === 'POST' && KEYED_POSTS.has(path) && !request.headers.has('idempotency-key')) {
      request.headers.set('idempotency-key', crypto.randomUUID());
    }
  }

  /** Sends a prepared request; a token that has expired is renewed once. */
  async send(request: Request): Promise<Response> {
    const response = await this.persist(request);
    const refused = request.headers.get('authorization')?.slice('Bearer '.length);
    if (response.status !== 401 || refused === undefined || !isTokenRefused(response)) return response;
    const bearer = await this.credential.after(refused);
    if (bearer === undefined) return response;
    request.headers.set('authorization', `Bearer ${bearer}`);
    return this.persist(request);
  }

  private async persist(request: Request): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.once(request).catch((error: unknown) => ({ error }));
      const response = 'error' in outcome ? undefined : outcome;
      if (request.signal.aborted || attempt > this.options.retries || !this.mayRepeat(request, response)) {
        return settled(outcome);
      }
      const wait = backoffMs(attempt, retryAfterMs(response?.headers.get('retry-after') ?? null));
      if (wait > this.options.maxDelayMs) return settled(outcome);
      await response?.body?.cancel();
      await sleep(wait, request.signal);
    }
  }

  /** One try. An answer that breaks off in the middle is a failure of the network like any other. */
  private async once(request: Request): Promise<Response> {
    const { fetch, timeoutMs } = this.options;
    const timeout = new AbortController();
    const timer = setTimeout(
      () => timeout.abort(new DOMException(`No answer within ${timeoutMs} ms`, 'TimeoutError')),
      timeoutMs,
    );
    try {
      // The request itself is kept: its body can be sent again.
      const signal = AbortSignal.any([request.signal, timeout.signal]);
      const response = await fetch(request.clone(), { signal });
      if (!BUFFERED.test(response.headers.get('content-type') ?? '')) return response;
      return new Response(await response.arrayBuffer(), response);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether a request may be sent again, and whether that could help. */
  private mayRepeat(request: Request, response: Response | undefined): boolean {
    // Refused before anything was done: safe for every request.
    if (response?.status === 429) return true;
    const changesNothing = request.method === 'GET' || request.method === 'HEAD';
    if (!changesNothing && !request.headers.has('idempotency-key') && !this.options.repeatAll) return false;
    if (response === undefined) return true;
    // A try whose answer was lost may still be running under this request's key: 409, and when to come back.
    return TRANSIENT.has(response.status) || (response.status === 409 && response.headers.has('retry-after'));
  }
}

/** Whether it was the token that was refused: a wrong factor, or a step-up that is due, is 401 with a good one. */
function isTokenRefused(response: Response): boolean {
  const challenge = response.headers.get('www-authenticate');
  return challenge === null || challenge.includes('error="invalid_token"');
}

function settled(outcome: Response | { error: unknown }): Response {
  if ('error' in outcome) throw outcome.error;
  return outcome;
}

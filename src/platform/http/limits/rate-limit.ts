import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Config } from '../../config/config';
import { connectRedis, type RedisClient } from '../../redis/redis';

/** A limit: a burst, refilled at a rate (a token bucket). */
export interface Limit {
  /** The name in the `RateLimit` headers. */
  name: string;
  burst: number;
  perSecond: number;
}

/** Whether a request may pass, with the values of its headers. */
export interface Verdict {
  allowed: boolean;
  remaining: number;
  /** Seconds until the whole limit is available again. */
  resetSeconds: number;
  /** Seconds until the next request may pass; 0 when this one did. */
  retryAfterSeconds: number;
}

const MAX_KEYS = 100_000;
/** The maximum rounding error of sums of times. */
const ROUNDING_MS = 1e-6;
/** Maximum number of buckets that a new one may check once the store is full. */
const EVICTION_SAMPLE = 8;
/** Longest wait for Redis before the process counts for itself. */
const REDIS_TIMEOUT_MS = 100;

/**
 * The generic cell rate algorithm: of a bucket only the time is stored at which it will be full again. One number per
 * key, in this process or, with `REDIS_URL`, in Redis for all processes together. A stored time beyond the cost of a
 * whole burst comes from another clock (the server's clock stepped back, or another server took over): it counts as an
 * empty bucket.
 */
const GCRA_SCRIPT = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = tonumber(redis.call('GET', KEYS[1]) or now)
local full = math.min(math.max(stored, now), now + burst * interval)
local next = full + cost * interval
if ARGV[4] == '1' then next = math.min(next, now + burst * interval) end
if next - now > burst * interval then
  if full < stored then redis.call('SET', KEYS[1], full, 'PX', math.ceil(full - now) + 1000) end
  return { 0, full - now }
end
redis.call('SET', KEYS[1], next, 'PX', math.ceil(next - now) + 1000)
return { 1, next - now }`;

type Eval = (key: string, interval: number, burst: number, cost: number, force: 0 | 1) => Promise<[number, number]>;

/** Counts requests against limits. It never refuses because its own store is unavailable. */
@Injectable()
export class RateLimiter implements OnModuleDestroy {
  /** By `performance.now()`. */
  private readonly fullAt = new Map<string, number>();
  private evictionCursor = this.fullAt.entries();
  private readonly redis?: RedisClient;

  constructor(config: Config) {
    if (!config.REDIS_URL) return;
    this.redis = connectRedis(config.REDIS_URL, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      commandTimeout: REDIS_TIMEOUT_MS,
      retryStrategy: (attempt) => Math.min(100 * attempt, 2_000),
    });
    this.redis.on('error', () => undefined); // unavailable: every call falls back; readiness reports it
    this.redis.defineCommand('gcra', { numberOfKeys: 1, lua: GCRA_SCRIPT });
  }

  async onModuleDestroy(): Promise<void> {
    this.redis?.disconnect();
  }

  /** Takes one token, or the cost of the request, from the key's allowance. Synchronous without Redis. */
  take(limit: Limit, key: string, cost = 1): Verdict | Promise<Verdict> {
    return this.count(limit, key, Math.min(cost, limit.burst), false);
  }

  /** Takes one token from the key's allowance in this process alone, without the counts of other processes. */
  takeLocally(limit: Limit, key: string): Verdict {
    return this.countLocally(limit, `${limit.name}:${key}`, 1000 / limit.perSecond, 1, false);
  }

  /** Takes the additional cost of a request: never refused, it empties the allowance at most. */
  charge(limit: Limit, key: string, cost: number): void {
    const counted = this.count(limit, key, cost, true);
    if (counted instanceof Promise) counted.catch(() => undefined);
  }

  private count(limit: Limit, key: string, cost: number, force: boolean): Verdict | Promise<Verdict> {
    const interval = 1000 / limit.perSecond;
    const id = `${limit.name}:${key}`;
    if (this.redis?.status !== 'ready') return this.countLocally(limit, id, interval, cost, force);
    const gcra = (this.redis as unknown as { gcra: Eval }).gcra.bind(this.redis) as Eval;
    const counted = gcra(`limit:{${id}}`, interval, limit.burst, cost, force ? 1 : 0).then(([allowed, untilFull]) =>
      verdict(limit, interval, allowed === 1, untilFull, cost),
    );
    return withFallback(counted, () => this.countLocally(limit, id, interval, cost, force));
  }

  private countLocally(limit: Limit, id: string, interval: number, cost: number, force: boolean): Verdict {
    const now = performance.now();
    const most = now + limit.burst * interval;
    const stored = this.fullAt.get(id);
    const full = Math.min(Math.max(stored ?? now, now), most);
    const next = force ? Math.min(full + cost * interval, most) : full + cost * interval;
    if (next - most > ROUNDING_MS) return verdict(limit, interval, false, full - now, cost);
    if (stored === undefined && this.fullAt.size >= MAX_KEYS) this.evict(now);
    this.fullAt.set(id, next);
    return verdict(limit, interval, true, next - now, cost);
  }

  /** Drops one bucket: the next full one, or the last of the few that are checked. */
  private evict(now: number): void {
    for (let looked = 1; ; looked++) {
      const next = this.evictionCursor.next();
      if (next.done) {
        this.evictionCursor = this.fullAt.entries();
      } else if (next.value[1] <= now || looked >= EVICTION_SAMPLE) {
        this.fullAt.delete(next.value[0]);
        return;
      }
    }
  }
}

/** The result, or the fallback's if it is late: a cluster in fail-over retries for longer than that. */
function withFallback<T>(result: Promise<T>, fallback: () => T): Promise<T> {
  return new Promise((resolve) => {
    let waiting = true;
    const settle = (value: () => T): void => {
      if (!waiting) return;
      waiting = false;
      clearTimeout(timer);
      resolve(value());
    };
    const timer = setTimeout(() => settle(fallback), REDIS_TIMEOUT_MS);
    result.then(
      (value) => settle(() => value),
      () => settle(fallback),
    );
  });
}

function verdict(limit: Limit, interval: number, allowed: boolean, untilFull: number, cost: number): Verdict {
  return {
    allowed,
    remaining: Math.max(0, Math.floor(limit.burst - untilFull / interval + 1e-6)),
    resetSeconds: Math.ceil(untilFull / 1000),
    retryAfterSeconds: allowed ? 0 : Math.max(0, (untilFull - (limit.burst - cost) * interval) / 1000),
  };
}

/** The `RateLimit-Policy` value of a limit (draft-ietf-httpapi-ratelimit-headers-10). */
export function policyHeader(limit: Limit): string {
  return `"${limit.name}";q=${limit.burst};w=${Math.max(1, Math.round(limit.burst / limit.perSecond))}`;
}

/** The `RateLimit` value for a verdict. */
export function limitHeader(limit: Limit, given: Verdict): string {
  return `"${limit.name}";r=${given.remaining};t=${given.resetSeconds}`;
}

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Statement } from '../database/sql/statement';
import { TenantDatabase } from '../database/tenant-database';
import { LOGGER } from '../observability/logger.module';
import { type AuditedCaller, type AuditEntry, auditText } from './audit-entry';
import { actorText, type SecurityEvent, SecurityLog } from './security-log';

const HOUR_MS = 60 * 60 * 1_000;
/** The interval of writing counts, the loss of a killed process; milliseconds. */
const FLUSH_MS = 5_000;
/** Kinds of refusals of a tenant that are counted separately in an hour, and the maximum number of tenants. */
const MAX_KINDS = 1_000;
const MAX_TENANTS = 10_000;
/** As many of these may come from callers without a credential, since they choose the reason of their refusals. */
export const MAX_ANONYMOUS = 100;

/** The refusal as the log shows it. It names no request, since it represents many. */
export interface Refusal {
  readonly caller: Pick<AuditedCaller, 'tenantId' | 'actor' | 'session'> & { readonly network?: string };
  readonly entry: AuditEntry & { readonly outcome: 'denied' | 'failure' };
}

/** The count of a kind of refusal until its hour has ended. */
export interface CountedRefusal {
  actor: AuditedCaller['actor'];
  session?: { id: string };
  network?: string;
  entry: AuditEntry;
}

interface Count {
  tenantId: string;
  hour: Date;
  key: Buffer;
  anonymous: boolean;
  refusal: CountedRefusal;
  count: number;
}

/**
 * Counts refusals separately: a caller that is refused a thousand times an hour is one entry with a count, written when
 * the hour has ended, and can neither fill a log nor slow it down. Counting is in memory and bounded; the counts are
 * written every few seconds.
 */
@Injectable()
export class Refusals implements BeforeApplicationShutdown {
  private counts = new Map<string, Map<string, Count>>();
  private flushing?: Promise<void>;
  private stopped = false;

  constructor(
    private readonly database: TenantDatabase,
    private readonly security: SecurityLog,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Counts a refusal in the log of the tenant concerned; returns immediately, never throws. */
  count({ caller, entry }: Refusal, now = new Date()): void {
    const anonymous = caller.actor.type === 'anonymous';
    const hour = new Date(Math.floor(now.getTime() / HOUR_MS) * HOUR_MS);
    const refusal: CountedRefusal = {
      actor: caller.actor,
      ...(caller.session ? { session: { id: caller.session.id } } : {}),
      ...(caller.network === undefined ? {} : { network: caller.network }),
      entry: { ...entry, target: { type: entry.target.type, id: entry.target.id && auditText(entry.target.id) } },
    };
    this.security.count(entry, entry.count ?? 1);
    this.add({ tenantId: caller.tenantId, hour, key: keyOf(refusal), anonymous, refusal, count: entry.count ?? 1 });
    this.flushing ??= this.flushSoon();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    await this.flush();
  }

  /** Writes the counts now. */
  async flush(): Promise<void> {
    const counts = [...this.counts.values()].flatMap((kinds) => [...kinds.values()]);
    this.counts = new Map();
    for (const count of counts) {
      await this.database
        .write({ tenantId: count.tenantId }, upsertCount(count))
        .catch((error: Error) => this.logger.warn({ reason: error.message }, 'a count of refusals was not written'));
    }
  }

  private add(count: Count): void {
    let kinds = this.counts.get(count.tenantId);
    if (!kinds) {
      if (this.counts.size >= MAX_TENANTS) return;
      this.counts.set(count.tenantId, (kinds = new Map()));
    }
    const id = `${count.hour.getTime()} ${count.key.toString('base64')}`;
    const known = kinds.get(id);
    if (known) {
      known.count += count.count;
      return;
    }
    const ofKind = [...kinds.values()].filter(({ anonymous }) => anonymous === count.anonymous).length;
    const isRest = count.refusal.entry.action === REST_ACTION;
    // There is a place for the rest in any case.
    if (!isRest && ofKind >= (count.anonymous ? MAX_ANONYMOUS : MAX_KINDS)) return this.add(restOf(count));
    kinds.set(id, count);
    // One line per kind until its count is written, so that the number of lines is bounded by the number of kinds.
    this.security.write(lineOf(count));
  }

  private async flushSoon(): Promise<void> {
    await sleep(FLUSH_MS, undefined, { ref: false });
    if (!this.stopped) await this.flush();
    this.flushing = undefined;
  }
}

function lineOf({ tenantId, refusal: { actor, session, network, entry } }: Count): SecurityEvent {
  const outcome = entry.outcome ?? 'denied';
  return { action: entry.action, outcome, tenantId, actor: actorText(actor), sessionId: session?.id, network };
}

/** All further kinds together are one entry. */
export const REST_ACTION = 'refusals.other';

function restOf(count: Count): Count {
  const refusal: CountedRefusal = {
    actor: { type: count.anonymous ? 'anonymous' : 'system', id: null },
    entry: { action: REST_ACTION, target: { type: 'tenant', id: count.tenantId }, outcome: 'denied' },
  };
  return { ...count, refusal, key: keyOf(refusal), anonymous: false };
}

function keyOf(refusal: CountedRefusal): Buffer {
  const { actor, session, network, entry } = refusal;
  const parts = [
    actor.type,
    actor.id,
    session?.id,
    network,
    entry.action,
    entry.target.type,
    entry.target.id,
    entry.outcome,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}

function upsertCount({ tenantId, hour, key, anonymous, refusal, count }: Count): Statement {
  return {
    name: 'audit_refusals_count',
    text: `insert into audit_refusals as r (tenant_id, hour, key, anonymous, entry, count) values ($1, $2, $3, $4, $5, $6)
           on conflict (tenant_id, hour, key) do update set count = r.count + excluded.count returning 1`,
    values: [tenantId, hour, key, anonymous, JSON.stringify(refusal), count],
  };
}

import { Injectable } from '@nestjs/common';
import { Notifier } from '../../platform/outbox/notifier';
import { OwnedShards } from '../../platform/shards/owned-shards';

/** The channel that carries ends of attempts from a worker to the elected leader. */
export const OUTCOME_CHANNEL = 'webhook_outcomes';

/** Ends in one message: NOTIFY limits a payload to 8,000 bytes. */
const ENDS_PER_MESSAGE = 40;

/** The end of one attempt, as the dispatcher needs it. */
export interface AttemptEnd {
  tenantId: string;
  endpointId: string;
  deliveryId: string;
  /** The attempt's number; workers of release 0.1.0 leave it out. */
  attempt?: number;
  /** Left out if no request was sent. */
  ok?: boolean;
  /** Duration of the request, milliseconds. */
  durationMs?: number;
  /** When the delivery is due again, milliseconds of Unix time. */
  nextAttemptAt?: number;
}

/**
 * Carries ends of attempts to the dispatcher of their tenant: by a call if this process owns the tenant's shard, by
 * NOTIFY if another does. A message that is lost with its process costs the interval of the dispatcher's audit.
 */
@Injectable()
export class AttemptEnds {
  private listener?: (ends: readonly AttemptEnd[]) => void;

  constructor(
    private readonly notifier: Notifier,
    private readonly shards: OwnedShards,
  ) {}

  /** Calls the listener for ends of owned tenants, in place of a notification; `undefined` removes it. */
  listen(listener: ((ends: readonly AttemptEnd[]) => void) | undefined): void {
    this.listener = listener;
  }

  /** Announces ends of one tenant; returns immediately, never throws. */
  announce(ends: readonly AttemptEnd[]): void {
    const [first] = ends;
    if (first && this.listener && this.shards.isConfirmed && this.shards.owns(first.tenantId)) {
      this.listener(ends);
      return;
    }
    for (let at = 0; at < ends.length; at += ENDS_PER_MESSAGE) {
      this.notifier.notifyWith(OUTCOME_CHANNEL, formatEnds(ends.slice(at, at + ENDS_PER_MESSAGE)));
    }
  }
}

/**
 * The payload: the tenant, then for each end its endpoint, delivery, success (1, 0, or null for nothing sent), next due
 * time, duration and number of the attempt.
 */
function formatEnds(ends: readonly AttemptEnd[]): string {
  return JSON.stringify([
    ends[0]?.tenantId,
    ...ends.map((end) => [
      end.endpointId,
      end.deliveryId,
      end.ok === undefined ? null : Number(end.ok),
      end.nextAttemptAt ?? 0,
      end.durationMs ?? 0,
      end.attempt ?? 0,
    ]),
  ]);
}

/** The tenant of a payload, which many processes receive and one needs. */
export function tenantOfEnds(message: string): string {
  return message.slice(2, 38);
}

/** Reads a payload that {@link AttemptEnds} wrote. */
export function parseEnds(message: string): AttemptEnd[] {
  const [tenantId, ...ends] = JSON.parse(message) as [string, ...EndFields[]];
  return ends.map(([endpointId, deliveryId, ok, due, durationMs, attempt]) => ({
    tenantId,
    endpointId,
    deliveryId,
    ok: ok === null ? undefined : ok === 1,
    nextAttemptAt: due || undefined,
    durationMs,
    attempt: attempt || undefined,
  }));
}

type EndFields = [endpointId: string, deliveryId: string, ok: number | null, due: number, ms: number, attempt?: number];

/** Statements of the worker: deliveries to send, and their outcomes. */
import { CHALLENGE_EVENT } from '../event-types/event-type-names';
import type { Row, Statement } from '../../platform/database/sql/statement';

/** A delivery with all columns for sending it. Endpoint columns are null if the endpoint was removed. */
export interface SendingRow extends Row {
  id: string;
  endpoint_id: string;
  event_id: string;
  event_type: string;
  attempt_count: number;
  /** The attempts of the current schedule. */
  schedule_attempts: number;
  /**
   * It waits, its time has come, its tenant is not suspended, and its endpoint is enabled or the delivery was requested
   * manually.
   */
  is_due: boolean;
  /** The event's data as text: in one row of each event, null in the others. */
  data: string | null;
  event_created_at: Date;
  /** The trace of the event, if there is one. */
  traceparent: string | null;
  url: string;
  headers: Record<string, string>;
  /** The whole URL and headers, encrypted; null if the columns have them. */
  encrypted_parts: string | null;
  /** The challenge that the receiver must respond to before other events; null after its consent. */
  challenge: string | null;
  secret: string;
  /** During its overlap with the current one. */
  previous_secret: string | null;
  failing_since: Date | null;
}

/** @param dueBy the latest due time of a delivery to send */
export function findToSend(tenantId: string, ids: readonly string[], now: Date, dueBy: Date): Statement {
  return {
    name: 'deliveries_to_send',
    text: `select d.id, d.endpoint_id, d.event_id, d.event_type, d.attempt_count, d.tries as schedule_attempts,
                  d.status in ('pending', 'retrying') and d.next_attempt_at <= $4
                    and t.suspended_at is null
                    and (p.consent is distinct from 'pending' or d.event_type = '${CHALLENGE_EVENT}')
                    and coalesce(p.enabled or d.requested_at is not null and p.id is not null, false) as is_due,
                  case when row_number() over (partition by d.event_id) = 1 then e.data::text end as data,
                  e.created_at as event_created_at, e.traceparent, p.url, p.headers, p.encrypted_parts, p.challenge, p.secret,
                  case when p.previous_secret_expires_at > $3 then p.previous_secret end as previous_secret, p.failing_since
             from deliveries d
             join tenants t on t.id = d.tenant_id
             join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
             left join webhook_endpoints p on p.tenant_id = d.tenant_id and p.id = d.endpoint_id
            where d.tenant_id = $1 and d.id = any($2::uuid[])`,
    values: [tenantId, ids, now, dueBy],
  };
}

/** The outcome of an attempt. */
export interface Outcome {
  deliveryId: string;
  endpointId: string;
  /** The number of the attempt, from 1. */
  number: number;
  status: 'succeeded' | 'retrying' | 'failed' | 'disabled';
  nextAttemptAt: Date | null;
  startedAt: Date;
  endedAt: Date;
  durationMs: number;
  responseStatus: number | null;
  responseBody: string | null;
  error: string | null;
}

/** The value of delivery `d` in an array parameter, found by its position: this costs less than a join. */
const ofOutcome = (parameter: string): string => `(${parameter})[array_position($2::uuid[], d.id)]`;

/**
 * Writes attempts and their effects on deliveries. A delivery that was ended meanwhile (its endpoint was disabled or
 * removed during the request) stays ended unless the request succeeded; the attempt still counts. A delivery that
 * another worker has recorded, or that is deleted, is skipped: the update locks its row, so that no attempt is written
 * without it. Of two outcomes of one delivery the later attempt counts.
 */
export function recordOutcomes(tenantId: string, recorded: readonly Outcome[]): Statement {
  // The look-up finds the first one of a delivery.
  const outcomes = recorded.toSorted((a, b) => b.number - a.number);
  const arrays = outcomeArrays(outcomes);
  return {
    name: 'outcomes_record',
    text: `with changed as (
             ${updateDeliveries({ number: '$4::int[]', status: '$5::text[]', next: '$6::float8[]', ended: '$8::float8[]' })}
             returning d.id, array_position($2::uuid[], d.id) as place
           ), logged as (
             insert into delivery_attempts (tenant_id, delivery_id, number, endpoint_id, started_at, duration_ms,
                                            response_status, response_body, error, succeeded)
             select $1::uuid, id, ($4::int[])[place], ($3::uuid[])[place], to_timestamp(($7::float8[])[place]),
                    ($9::int[])[place], ($10::smallint[])[place], ($11::text[])[place], ($12::text[])[place],
                    ($5::text[])[place] = 'succeeded'
               from changed
             on conflict (tenant_id, delivery_id, number) do nothing
             returning delivery_id
           )
           select id from changed`,
    values: [
      tenantId,
      arrays.id,
      arrays.endpoint,
      arrays.number,
      arrays.status,
      arrays.next,
      arrays.started,
      arrays.ended,
      ...arrays.response,
    ],
    distributed: () => recordOutcomesApart(tenantId, arrays),
  };
}

/**
 * The same as two statements, which Citus passes to the tenant's shard as they are: the second one reads the number of
 * each delivery that the first one has left, and adds the attempt of this number.
 */
function recordOutcomesApart(tenantId: string, arrays: OutcomeArrays): Statement[] {
  return [
    {
      name: 'outcomes_record_deliveries',
      text: updateDeliveries({
        number: '$3::int[]',
        status: '$4::text[]',
        next: '$5::float8[]',
        ended: '$6::float8[]',
      }),
      values: [tenantId, arrays.id, arrays.number, arrays.status, arrays.next, arrays.ended],
    },
    {
      name: 'outcomes_record_attempts',
      text: `insert into delivery_attempts (tenant_id, delivery_id, number, endpoint_id, started_at, duration_ms,
                                            response_status, response_body, error, succeeded)
             select d.tenant_id, d.id, d.attempt_count, d.endpoint_id, to_timestamp(${ofOutcome('$5::float8[]')}),
                    ${ofOutcome('$6::int[]')}, ${ofOutcome('$7::smallint[]')}, ${ofOutcome('$8::text[]')},
                    ${ofOutcome('$9::text[]')}, ${ofOutcome('$4::text[]')} = 'succeeded'
               from deliveries d
              where d.tenant_id = $1 and d.id = any($2::uuid[]) and d.attempt_count = ${ofOutcome('$3::int[]')}
             on conflict (tenant_id, delivery_id, number) do nothing`,
      values: [tenantId, arrays.id, arrays.number, arrays.status, arrays.started, ...arrays.response],
    },
  ];
}

/** The effect of outcomes on their deliveries; the texts are the parameters. */
function updateDeliveries(outcome: { number: string; status: string; next: string; ended: string }): string {
  const status = ofOutcome(outcome.status);
  return `update deliveries d
                set status = case when d.next_attempt_at is not null or ${status} = 'succeeded' then ${status} else d.status end,
                    attempt_count = d.attempt_count + 1, tries = d.tries + 1, requested_at = null,
                    next_attempt_at = case when d.next_attempt_at is not null then to_timestamp(${ofOutcome(outcome.next)}) end,
                    completed_at = case when d.next_attempt_at is null or ${status} <> 'retrying'
                                        then to_timestamp(${ofOutcome(outcome.ended)}) end
              where d.tenant_id = $1 and d.id = any($2::uuid[]) and d.attempt_count = ${ofOutcome(outcome.number)} - 1
                and d.status in ('pending', 'retrying', 'disabled', 'cancelled')`;
}

/** Outcomes as arrays, one for each column. */
interface OutcomeArrays {
  id: string[];
  endpoint: string[];
  number: number[];
  status: string[];
  next: (number | null)[];
  started: number[];
  ended: number[];
  /** Duration, status, body and error of the responses. */
  response: [number[], (number | null)[], (string | null)[], (string | null)[]];
}

function outcomeArrays(outcomes: readonly Outcome[]): OutcomeArrays {
  return {
    id: outcomes.map((outcome) => outcome.deliveryId),
    endpoint: outcomes.map((outcome) => outcome.endpointId),
    number: outcomes.map((outcome) => outcome.number),
    status: outcomes.map((outcome) => outcome.status),
    next: outcomes.map((outcome) => outcome.nextAttemptAt && toSeconds(outcome.nextAttemptAt)),
    started: outcomes.map((outcome) => toSeconds(outcome.startedAt)),
    ended: outcomes.map((outcome) => toSeconds(outcome.endedAt)),
    response: [
      outcomes.map((outcome) => outcome.durationMs),
      outcomes.map((outcome) => outcome.responseStatus),
      outcomes.map((outcome) => outcome.responseBody),
      outcomes.map((outcome) => outcome.error),
    ],
  };
}

/**
 * Unix time: PostgreSQL parses a number in a fraction of the time of a timestamp's text, and keeps its milliseconds.
 */
const toSeconds = (time: Date): number => time.getTime() / 1000;

/** Stores since when an endpoint has only failed. */
export function markFailing(tenantId: string, endpointIds: readonly string[], since: Date): Statement {
  return {
    name: 'endpoints_mark_failing',
    text: `update webhook_endpoints set failing_since = $3
            where tenant_id = $1 and id = any($2::uuid[]) and failing_since is null`,
    values: [tenantId, endpointIds, since],
  };
}

/** Clears the failing state of an endpoint. */
export function markWorking(tenantId: string, endpointIds: readonly string[]): Statement {
  return {
    name: 'endpoints_mark_working',
    text: `update webhook_endpoints set failing_since = null
            where tenant_id = $1 and id = any($2::uuid[]) and failing_since is not null`,
    values: [tenantId, endpointIds],
  };
}

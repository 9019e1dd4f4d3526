/** Statements of the worker: deliveries to send, and their outcomes. */
import { CHALLENGE_EVENT } from '../event-types/event-type-names';
import type { Row, SqlValue, Statement } from '../../platform/database/sql/statement';

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

/**
 * Reads deliveries by their ids. Each is found by its key in a subquery that cannot be merged, and so is its endpoint:
 * from `id = any(…)` PostgreSQL chooses an index by its estimate of the tenant's deliveries, and reads all of them
 * after a burst; and it may read all endpoints of the tenant for each delivery. Because of the last condition, which is
 * always true, it expects one id in any array, and plans the statement once and not for each short array.
 * @param dueBy the latest due time of a delivery to send
 */
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
             from unnest($2::uuid[]) with ordinality as wanted (id, place)
             cross join lateral (
               select * from deliveries d where d.tenant_id = $1 and d.id = wanted.id offset 0
             ) d
             join tenants t on t.id = $1
             join events e on e.tenant_id = $1 and e.id = d.event_id
             left join lateral (
               select * from webhook_endpoints p where p.tenant_id = $1 and p.id = d.endpoint_id offset 0
             ) p on true
            where wanted.place = wanted.place + 0`,
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

/** The outcomes of a statement, as rows. */
const OUTCOMES = `unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::float8[], $7::float8[], $8::float8[],
                       $9::int[], $10::smallint[], $11::text[], $12::text[])
                  as o (id, endpoint_id, number, status, next, started, ended, duration_ms, response_status, response_body, error)`;
/**
 * Because of the first condition, which is always true, PostgreSQL expects one outcome, begins with the outcomes, and
 * finds each delivery by its key. Else its estimate of the tenant's deliveries decides: after a burst it reads all of
 * them for each batch.
 */
const IS_OUTCOME_OF_DELIVERY = 'o.number = o.number + 0 and d.tenant_id = $1 and d.id = o.id';
const UPDATE_DELIVERIES = `update deliveries d
                set status = case when d.next_attempt_at is not null or o.status = 'succeeded' then o.status else d.status end,
                    attempt_count = d.attempt_count + 1, tries = d.tries + 1, requested_at = null,
                    next_attempt_at = case when d.next_attempt_at is not null then to_timestamp(o.next) end,
                    completed_at = case when d.next_attempt_at is null or o.status <> 'retrying' then to_timestamp(o.ended) end
               from ${OUTCOMES}
              where ${IS_OUTCOME_OF_DELIVERY} and d.attempt_count = o.number - 1
                and d.status in ('pending', 'retrying', 'disabled', 'cancelled')`;
const ATTEMPT_COLUMNS = `tenant_id, delivery_id, number, endpoint_id, started_at, duration_ms, response_status, response_body,
                         error, succeeded`;
const ATTEMPT_VALUES = `to_timestamp(started), duration_ms, response_status, response_body, error, o.status = 'succeeded'`;

/**
 * Writes attempts and their effects on deliveries. A delivery that was ended meanwhile (its endpoint was disabled or
 * removed during the request) stays ended unless the request succeeded; the attempt still counts. A delivery that
 * another worker has recorded, or that is deleted, is skipped: the update locks its row, so that no attempt is written
 * without it. Of two outcomes of one delivery the next attempt counts.
 */
export function recordOutcomes(tenantId: string, recorded: readonly Outcome[]): Statement {
  // Rows are locked in this order, so that two batches of the same deliveries do not wait for each other.
  const outcomes = recorded.toSorted((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const arrays = outcomeArrays(outcomes);
  return {
    name: 'outcomes_record',
    text: `with changed as (
             ${UPDATE_DELIVERIES}
             returning o.*
           ), logged as (
             insert into delivery_attempts (${ATTEMPT_COLUMNS})
             select $1::uuid, id, number, endpoint_id, ${ATTEMPT_VALUES} from changed o
             on conflict (tenant_id, delivery_id, number) do nothing
             returning delivery_id
           )
           select id from changed`,
    values: [tenantId, ...arrays],
    distributed: () => recordOutcomesApart(tenantId, arrays),
  };
}

/**
 * The same as two statements, which Citus passes to the tenant's shard as they are: the second one reads the number of
 * each delivery that the first one has left, and adds the attempt of this number.
 */
function recordOutcomesApart(tenantId: string, arrays: SqlValue[]): Statement[] {
  const values = [tenantId, ...arrays];
  return [
    { name: 'outcomes_record_deliveries', text: UPDATE_DELIVERIES, values },
    {
      name: 'outcomes_record_attempts',
      text: `insert into delivery_attempts (${ATTEMPT_COLUMNS})
             select d.tenant_id, d.id, d.attempt_count, d.endpoint_id, ${ATTEMPT_VALUES}
               from ${OUTCOMES}, deliveries d
              where ${IS_OUTCOME_OF_DELIVERY} and d.attempt_count = o.number
             on conflict (tenant_id, delivery_id, number) do nothing`,
      values,
    },
  ];
}

/** Outcomes as arrays, one for each column of {@link OUTCOMES}. */
function outcomeArrays(outcomes: readonly Outcome[]): SqlValue[] {
  return [
    outcomes.map((outcome) => outcome.deliveryId),
    outcomes.map((outcome) => outcome.endpointId),
    outcomes.map((outcome) => outcome.number),
    outcomes.map((outcome) => outcome.status),
    outcomes.map((outcome) => outcome.nextAttemptAt && toSeconds(outcome.nextAttemptAt)),
    outcomes.map((outcome) => toSeconds(outcome.startedAt)),
    outcomes.map((outcome) => toSeconds(outcome.endedAt)),
    outcomes.map((outcome) => outcome.durationMs),
    outcomes.map((outcome) => outcome.responseStatus),
    outcomes.map((outcome) => outcome.responseBody),
    outcomes.map((outcome) => outcome.error),
  ];
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

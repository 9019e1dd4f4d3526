import { Injectable } from '@nestjs/common';
import { isUniqueViolation } from '../../platform/database/sql/errors';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { assertConnected } from '../../platform/net/client-connection';
import { type FieldFault, NotFound, Unavailable, ValidationFailed } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import { RequestLimits } from '../../platform/http/limits/request-limits';
import {
  type JsonPage,
  type JsonRow,
  Outcome,
  Representation,
  type WriteResult,
} from '../../platform/http/responses/results';
import { withJsonMember } from '../../platform/http/requests/source-text';
import { Cursors } from '../../platform/http/responses/pagination';
import { Outbox } from '../../platform/outbox/outbox';
import { TenantUsage } from '../../platform/usage/tenant-usage';
import { EventAccess } from '../event-types/event-access';
import { CheckBudget } from './check-budget';
import type { EmitEventDto, ListEventsDto } from './events.requests';
import type { EventView } from './events.views';
import * as queries from './events.queries';
import { isOutdated, SchemaCache, type Registration } from '../event-types/schema-cache';

/** How often an event is checked again because its type changed meanwhile. */
const MAX_CHECKS = 5;

/** Steps of a check against a schema that cost the tenant one more of its requests: about the time that one takes. */
const STEPS_A_TOKEN = 2_000;

/** The event log, and a tenant's own events. */
@Injectable()
export class EventsService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly outbox: Outbox,
    private readonly schemas: SchemaCache,
    private readonly access: EventAccess,
    private readonly limits: RequestLimits,
    private readonly budget: CheckBudget,
    private readonly usage: TenantUsage,
  ) {}

  /**
   * Emits a tenant's own event, whose data satisfies the schema of its type, if one is registered. Of two events with
   * one `event_id` the first is emitted, and both requests get its response, even if they arrive at the same time.
   *
   * The cached schema may be stale. That costs no extra query: the transaction that writes the event asserts the
   * schema's version, and a fault counts only with a freshly read schema.
   * @throws ValidationFailed
   */
  async emit(caller: Caller, input: EmitEventDto, request?: IdempotentRequest): Promise<WriteResult> {
    this.usage.assertLeft(caller);
    let known = this.schemas.known(caller, input.type);
    for (let checks = 0; checks < MAX_CHECKS; checks++) {
      const registration = known ?? (await this.schemas.read(caller, input.type));
      assertConnected(caller.connection);
      this.budget.assertLeft(caller.tenantId);
      const faults = registration.faults(input.data, (steps) => {
        this.budget.spend(caller.tenantId, steps);
        this.limits.charge(caller.tenantId, Math.floor(steps / STEPS_A_TOKEN));
      });
      if (faults.length === 0) {
        const written = await this.write(caller, input, registration, request);
        if (written) return written;
      } else if (!known) {
        return this.replayFirst(caller, input, request, faults);
      }
      known = undefined;
    }
    throw new Unavailable('an event type was changed each time that an event of it was checked');
  }

  /** Writes the event; returns undefined if its type changed meanwhile. */
  private async write(
    caller: Caller,
    input: EmitEventDto,
    registration: Registration,
    request?: IdempotentRequest,
  ): Promise<WriteResult | undefined> {
    try {
      return await this.idempotency.write(caller, request, (tx) => {
        const { type, event_id: eventId } = input;
        registration.assertIn(tx);
        const [event] = this.outbox.publish(tx, [{ type, data: input.dataText, eventId }]);
        if (!event) throw new Error('one event was published');
        const view: Omit<EventView, 'data'> & { data: null } = {
          id: event.id,
          type,
          timestamp: event.createdAt.toISOString(),
          data: null,
          aggregate_id: null,
          sequence: null,
          event_id: eventId ?? null,
          filtered_count: 0,
          deliveries: [],
          has_more_deliveries: false,
        };
        return new Outcome(withJsonMember(view, 'data', input.dataText));
      });
    } catch (error) {
      if (isOutdated(error)) return undefined;
      if (input.event_id === undefined || !isUniqueViolation(error, 'events_event_id_key')) throw error;
    }
    return this.replayFirst(caller, input, request);
  }

  /**
   * Replays the response to the first event of this id or key: a repetition gets the original response, even if the
   * schema has changed since.
   */
  private replayFirst(
    caller: Caller,
    { event_id: eventId }: EmitEventDto,
    request: IdempotentRequest | undefined,
    faults?: FieldFault[],
  ): Promise<WriteResult> {
    return this.idempotency.transaction(caller, request, async (tx) => {
      const [first] =
        eventId === undefined ? [] : await tx.query<JsonRow>(queries.findEventByOwnId(caller.tenantId, eventId));
      if (first) return new Outcome(first.json);
      if (faults) throw new ValidationFailed(faults);
      throw new Unavailable('the first event of this id expired between two transactions');
    });
  }

  /** A page of events, newest first. @throws AppError `invalid_cursor` */
  list(caller: Caller, input: ListEventsDto): Promise<JsonPage> {
    const { type } = input;
    const scope = { tenant: caller, list: 'webhooks/events', filters: { type } };
    const hidden = this.access.hiddenFrom(caller);
    // Not on the shared connections: data may be large, and so may the deliveries of each event be.
    return this.cursors.page(scope, input, (afterId, count) =>
      this.database.queryLong<JsonRow>(caller, queries.listEventsJson(caller.tenantId, type, hidden, afterId, count)),
    );
  }

  /** An event with its deliveries. @throws NotFound */
  async find(caller: Caller, id: string): Promise<Representation> {
    const statement = queries.findEventJson(caller.tenantId, id);
    const [row] = await this.database.query<queries.ShownEvent>(caller, statement);
    if (!row || !this.access.mayRead(caller, row.type)) throw new NotFound('Event', id);
    return new Representation(row.json);
  }
}

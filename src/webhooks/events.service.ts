import { Injectable } from '@nestjs/common';
import { isUniqueViolation } from '../platform/database/errors';
import { TenantDatabase } from '../platform/database/tenant-database';
import { NotFound, Unavailable } from '../platform/errors';
import type { Caller } from '../platform/http/caller';
import { etagOfContent } from '../platform/http/etag';
import { type Answer, Idempotency, type IdempotentRequest } from '../platform/http/idempotency';
import { type JsonPage, type JsonRow, type Representation, toPage } from '../platform/http/json-answers';
import { Cursors } from '../platform/http/pagination';
import { Outbox } from '../platform/outbox/outbox';
import type { EmitEventDto, EventView, ListEventsDto } from './events.dto';
import * as queries from './events.queries';

/** What happened, and a tenant's own events. */
@Injectable()
export class EventsService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly outbox: Outbox,
  ) {}

  /**
   * Emits an event of the tenant's own. Of two with one `event_id` the first is emitted and is the answer to both, also
   * where they come at the same time: the second is stopped by the unique index, and then finds the first.
   */
  async emit(caller: Caller, input: EmitEventDto, request?: IdempotentRequest): Promise<Answer> {
    try {
      return await this.idempotency.write(caller, request, (tx) => {
        const { type, event_id: eventId } = input;
        const [event] = this.outbox.publish(tx, [{ type, data: JSON.stringify(input.data), eventId }]);
        if (!event) throw new Error('one event was published');
        const view: EventView = {
          id: event.id,
          type,
          timestamp: event.createdAt.toISOString(),
          data: input.data,
          aggregate_id: null,
          sequence: null,
          event_id: eventId ?? null,
          deliveries: [],
          has_more_deliveries: false,
        };
        return { status: 202, headers: {}, body: JSON.stringify(view) };
      });
    } catch (error) {
      if (input.event_id === undefined || !isUniqueViolation(error, 'events_event_id_key')) throw error;
    }
    const eventId = input.event_id;
    return this.idempotency.transaction(caller, request, async (tx) => {
      const [first] = await tx.query<JsonRow>(queries.findEventByOwnId(caller.tenantId, eventId));
      if (!first) throw new Unavailable('the first event of this id expired between two transactions');
      return { status: 202, headers: {}, body: first.json };
    });
  }

  /** A page of events, newest first. @throws AppError `invalid_cursor` */
  async list(caller: Caller, input: ListEventsDto): Promise<JsonPage> {
    const { limit, cursor, type } = input;
    const scope = { tenant: caller, list: 'webhooks/events', filters: { type } };
    const afterId = this.cursors.decode(scope, cursor);
    // Not on the shared connections: data may be large, and a rare type takes a while to find.
    const rows = await this.database.transaction(caller, (tx) =>
      tx.query<JsonRow>(queries.listEventsJson(caller.tenantId, type, afterId, limit + 1)),
    );
    return toPage(rows, limit, (lastId) => this.cursors.encode(scope, lastId));
  }

  /** An event with its deliveries. @throws NotFound */
  async find(caller: Caller, id: string): Promise<Representation> {
    const [row] = await this.database.read<JsonRow>(caller, queries.findEventJson(caller.tenantId, id));
    if (!row) throw new NotFound('Event', id);
    return { json: row.json, etag: etagOfContent(row.json) };
  }
}

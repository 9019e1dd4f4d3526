import { isDeepStrictEqual } from 'node:util';
import { Injectable } from '@nestjs/common';
import type { Row } from '../../platform/database/sql/statement';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { AppError, NotFound, VersionConflict } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import type { Precondition } from '../../platform/http/responses/conditional-requests';
import { Json, Representation } from '../../platform/http/responses/results';
import { newTimedId } from '../../platform/ids/ids';
import { EventCatalogue } from '../../platform/outbox/event-catalogue';
import { exampleMessage, messageSchema } from './event-messages';
import type { RegisterEventTypeDto } from './event-types.requests';
import type { EventTypeView } from './event-types.views';
import * as queries from './event-types.queries';
import { SchemaCache } from './schema-cache';

export const MAX_EVENT_TYPES = 500;
/** All schemas and examples of a tenant: the catalogue returns them in one response. */
const MAX_BYTES = 1024 * 1024;

/** The catalogue: the service's own event types, and the types that a tenant has registered. */
@Injectable()
export class EventTypesService {
  /** The service's own types as JSON, by name; made at first use, since features register theirs during the start. */
  private builtIn?: ReadonlyMap<string, string>;

  constructor(
    private readonly database: TenantDatabase,
    private readonly types: EventCatalogue,
    private readonly schemas: SchemaCache,
  ) {}

  /** All of them as one page. */
  async list(caller: Caller): Promise<Json> {
    // Not on the shared connections: a tenant's types may be a megabyte.
    const own = await this.database.transaction(caller, (tx) =>
      tx.query<{ json: string }>(queries.listEventTypes(caller.tenantId)),
    );
    const data = [...this.builtInTypes().values(), ...own.map((row) => row.json)].join(',');
    return new Json(`{"data":[${data}],"next_cursor":null,"has_more":false}`);
  }

  /** @throws NotFound */
  async find(caller: Caller, name: string): Promise<Representation> {
    const builtIn = this.builtInTypes().get(name);
    if (builtIn !== undefined) return representationOf(builtIn);
    const statement = queries.findEventType(caller.tenantId, name);
    const [row] = await this.database.query<queries.EventTypeRow>(caller, statement);
    if (!row) throw new NotFound('Event type', name);
    return representationOf(row.json);
  }

  /**
   * Registers a type of the tenant, or changes it; without a difference the version stays.
   * @throws VersionConflict; AppError `business_rule_violation` beyond the maximum
   */
  register(
    caller: Caller,
    name: string,
    input: RegisterEventTypeDto,
    ifMatch?: Precondition,
  ): Promise<{ type: Representation; created: boolean }> {
    const { tenantId } = caller;
    return this.database.transaction({ ...caller, central: true }, async (tx) => {
      const [row, [others]] = await Promise.all([
        this.lock(tx, name, ifMatch),
        tx.query<OthersRow>(queries.measureOtherEventTypes(tenantId, name)),
      ]);
      // A missing resource has no tag that could match.
      if (!row && ifMatch) throw new VersionConflict();
      const schema = JSON.stringify(input.schema);
      const example = input.example ? JSON.stringify(input.example) : null;
      const description = input.description ?? null;
      if (row && isSameDefinition(row, description, schema, example))
        return { type: representationOf(row.json), created: false };
      assertRoom(others, row === undefined, Buffer.byteLength(schema) + Buffer.byteLength(example ?? ''));
      const { id, at } = newTimedId();
      const [saved] = await tx.query<{ json: string }>(
        queries.saveEventType(tenantId, name, {
          id: row?.id ?? id,
          description,
          schema,
          example,
          version: (row?.version ?? 0) + 1,
          createdAt: row?.created_at ?? at,
          updatedAt: at,
        }),
      );
      tx.afterCommit(() => this.schemas.forget(tenantId, name));
      if (!saved) throw new Error('an event type was saved');
      return { type: representationOf(saved.json), created: row === undefined };
    });
  }

  /** Removes a type of the tenant's own: its events are not checked any more. @throws NotFound; VersionConflict */
  async remove(caller: Caller, name: string, ifMatch?: Precondition): Promise<void> {
    const { tenantId } = caller;
    if (this.builtInTypes().has(name)) {
      throw new AppError('business_rule_violation', `Event type '${name}' is the service's own and cannot be removed.`);
    }
    await this.database.transaction({ ...caller, central: true }, async (tx) => {
      const row = await this.lock(tx, name, ifMatch);
      if (!row) throw new NotFound('Event type', name);
      tx.defer(queries.deleteEventType(tenantId, name));
      tx.afterCommit(() => this.schemas.forget(tenantId, name));
    });
  }

  /**
   * The type, if any, locked against other changes until this transaction ends. The lock is advisory: the transaction
   * is a central one.
   */
  private async lock(
    tx: TenantTransaction,
    name: string,
    ifMatch?: Precondition,
  ): Promise<queries.EventTypeRow | undefined> {
    // In one round trip: the second statement takes its snapshot after the lock.
    const [, [row]] = await Promise.all([
      tx.query(queries.lockEventTypes(tx.tenantId)),
      tx.query<queries.EventTypeRow>(queries.findEventType(tx.tenantId, name)),
    ]);
    if (row) ifMatch?.assertContent(row.json);
    return row;
  }

  private builtInTypes(): ReadonlyMap<string, string> {
    this.builtIn ??= new Map(
      this.types.all().map((type) => {
        const view: EventTypeView = {
          name: type.name,
          description: type.description,
          schema_of: 'message',
          schema: messageSchema(type),
          example: exampleMessage(type),
          version: null,
          created_at: null,
          updated_at: null,
        };
        return [type.name, JSON.stringify(view)];
      }),
    );
    return this.builtIn;
  }
}

interface OthersRow extends Row {
  count: number;
  bytes: number;
}

function assertRoom(others: OthersRow | undefined, isNew: boolean, bytes: number): void {
  if (isNew && (others?.count ?? 0) >= MAX_EVENT_TYPES) {
    throw new AppError('business_rule_violation', `A tenant has at most ${MAX_EVENT_TYPES} event types of its own.`);
  }
  if ((others?.bytes ?? 0) + bytes > MAX_BYTES) {
    throw new AppError('business_rule_violation', 'The schemas and examples of a tenant are at most 1 MiB in all.');
  }
}

/** Whether a type is already the same; the order of keys does not matter. */
function isSameDefinition(
  row: queries.EventTypeRow,
  description: string | null,
  schema: string,
  example: string | null,
): boolean {
  const view = JSON.parse(row.json) as EventTypeView;
  const wanted = [description, JSON.parse(schema), example && JSON.parse(example)];
  return isDeepStrictEqual([view.description, view.schema, view.example], wanted);
}

function representationOf(json: string): Representation {
  // Independent of the version: a type that is removed and registered again begins with version 1.
  return new Representation(json);
}

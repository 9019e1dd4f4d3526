import { Injectable } from '@nestjs/common';
import type { Change } from '../platform/audit/audit-entry';
import { AuditLog } from '../platform/audit/audit-log';
import { TenantDatabase, type TenantTransaction } from '../platform/database/tenant-database';
import { NotFound } from '../platform/errors';
import type { Caller } from '../platform/http/requests/caller';
import type { Precondition } from '../platform/http/responses/conditional-requests';
import { Idempotency, type IdempotentRequest } from '../platform/http/responses/idempotency';
import { Cursors } from '../platform/http/responses/pagination';
import {
  type JsonPage,
  type JsonRow,
  Outcome,
  Representation,
  type WriteResult,
} from '../platform/http/responses/results';
import { newTimedId } from '../platform/ids/ids';
import { Outbox } from '../platform/outbox/outbox';
import { type CountedAmount, FOR_GOOD, TenantUsage } from '../platform/usage/tenant-usage';
import { DemoThing } from './demo-thing.entity';
import * as queries from './demo-things.queries';
import type { CreateDemoThingDto, ListDemoThingsDto, UpdateDemoThingDto } from './demo-things.requests';
import { viewOf } from './demo-things.views';

type State = Omit<DemoThing, 'tenantId'>;
type Kind = 'created' | 'updated' | 'deleted';
/** The fields that a request may change. */
const FIELDS = ['name', 'notes'] as const;

/** The rows of demo things, which count against the quota of the tenant. */
export const DEMO_THING_ROWS: CountedAmount = { name: 'demo_thing_rows', perDay: 0, storedDays: FOR_GOOD };

/** The rules of demo things. */
@Injectable()
export class DemoThingsService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly usage: TenantUsage,
  ) {}

  /**
   * Creates a demo thing, and stores the response under the caller's idempotency key, if any.
   * @throws AppError `business_rule_violation` beyond the quota of rows
   */
  async create(caller: Caller, input: CreateDemoThingDto, request?: IdempotentRequest): Promise<WriteResult> {
    this.usage.assertLeft(caller);
    return this.idempotency.write(caller, request, (tx) => {
      const { id, at } = newTimedId();
      const { name, notes = null } = input;
      const created: State = { id, name, notes, version: 1, createdAt: at, updatedAt: at };
      tx.insert(...queries.insertDemoThing(tx.tenantId, created));
      this.usage.count(tx, DEMO_THING_ROWS.name, 1);
      const json = this.recordChange(tx, caller, 'created', created, changesBetween(undefined, created));
      return new Outcome(json, { id, version: created.version });
    });
  }

  /** @throws NotFound */
  async find(caller: Caller, id: string): Promise<Representation> {
    const [row] = await this.database.query<{ version: number; json: string }>(
      caller,
      queries.findDemoThingJson(caller.tenantId, id),
    );
    if (!row) throw new NotFound('DemoThing', id);
    return new Representation(row.json, row.version);
  }

  /** A page of demo things, newest first. @throws AppError `invalid_cursor` */
  list(caller: Caller, { limit, cursor, ...filters }: ListDemoThingsDto): Promise<JsonPage> {
    const scope = { tenant: caller, list: 'demo-things', filters };
    return this.cursors.page(scope, { limit, cursor }, (afterId, count) =>
      this.database.queryReplica<JsonRow>(caller, queries.listDemoThingsJson(caller.tenantId, afterId, count)),
    );
  }

  /** Changes fields; without a difference the version stays. @throws NotFound; VersionConflict */
  update(caller: Caller, id: string, input: UpdateDemoThingDto, ifMatch?: Precondition): Promise<Representation> {
    return this.database.transaction(caller, async (tx) => {
      const before = await lockDemoThing(tx, id, ifMatch);
      const { name = before.name, notes = before.notes } = input;
      const changes = changesBetween(before, { ...before, name, notes });
      if (Object.keys(changes).length === 0) return new Representation(JSON.stringify(viewOf(before)), before.version);
      const after: State = { ...before, name, notes, version: before.version + 1, updatedAt: new Date() };
      const { version, updatedAt } = after;
      await tx.repository(DemoThing).update({ tenantId: tx.tenantId, id }, { name, notes, version, updatedAt });
      return new Representation(this.recordChange(tx, caller, 'updated', after, changes), after.version);
    });
  }

  /** Deletes a demo thing. @throws NotFound; VersionConflict */
  async remove(caller: Caller, id: string, ifMatch?: Precondition): Promise<void> {
    await this.database.transaction(caller, async (tx) => {
      const before = await lockDemoThing(tx, id, ifMatch);
      await tx.repository(DemoThing).delete({ tenantId: tx.tenantId, id });
      this.usage.count(tx, DEMO_THING_ROWS.name, -1);
      this.recordChange(
        tx,
        caller,
        'deleted',
        { ...before, version: before.version + 1 },
        changesBetween(before, undefined),
      );
    });
  }

  /** Writes the audit entry and the event of a change. @returns the JSON of the new state */
  private recordChange(
    tx: TenantTransaction,
    caller: Caller,
    kind: Kind,
    state: State,
    changes: Record<string, Change>,
  ): string {
    const { id, version } = state;
    const json = JSON.stringify(viewOf(state));
    this.audit.record(tx, caller, { action: `demo_thing.${kind}`, target: { type: 'demo_thing', id }, changes });
    this.outbox.publish(tx, [{ type: `demo_thing.${kind}`, data: json, aggregateId: id, sequence: version }]);
    return json;
  }
}

/** Locks the row, so that the second of two concurrent changes reads the result of the first. */
async function lockDemoThing(tx: TenantTransaction, id: string, ifMatch?: Precondition): Promise<DemoThing> {
  const row = await tx
    .repository(DemoThing)
    .findOne({ where: { tenantId: tx.tenantId, id }, lock: { mode: 'pessimistic_write' } });
  if (!row) throw new NotFound('DemoThing', id);
  ifMatch?.assertVersion(row.version);
  return row;
}

function changesBetween(before: State | undefined, after: State | undefined): Record<string, Change> {
  const changed = FIELDS.filter((field) => before?.[field] !== after?.[field]);
  return Object.fromEntries(
    changed.map((field) => [field, [before?.[field] ?? null, after?.[field] ?? null] as const]),
  );
}

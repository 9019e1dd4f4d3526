import { Injectable } from '@nestjs/common';
import { sqlState } from '../../platform/database/sql/errors';
import type { Row } from '../../platform/database/sql/statement';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../../platform/database/tenant-database';
import type { FieldFault } from '../../platform/errors';
import { assertRegistered, findSchema } from './event-types.queries';
import { dataFaults } from '../json-schema/evaluation';
import type { SchemaObject } from '../json-schema/validator';

const MAX_ENTRIES = 10_000;
/** Characters of cached schemas; ADR 0032 has their size in memory. */
const MAX_CHARACTERS = 2 * 1024 * 1024;

const DIVISION_BY_ZERO = '22012';

/** Whether a transaction failed by {@link Registration.assertIn}. */
export function isOutdated(error: unknown): boolean {
  return sqlState(error) === DIVISION_BY_ZERO;
}

/** The registration of a tenant's event type, if any. */
export class Registration {
  constructor(
    private readonly name: string,
    private readonly id: string | null,
    private readonly version: number,
    private readonly schema: SchemaObject | undefined,
  ) {}

  /** The violations in data of this type; `onCost` receives the number of steps of the check. */
  faults(data: Record<string, unknown>, onCost?: (steps: number) => void): FieldFault[] {
    return this.schema ? dataFaults(this.schema, data, undefined, onCost) : [];
  }

  /** Makes the transaction fail, in a way that {@link isOutdated} recognizes, if the registration has changed. */
  assertIn(tx: TenantTransaction): void {
    tx.defer(assertRegistered(tx.tenantId, this.name, this.id, this.version));
  }
}

interface SchemaRow extends Row {
  id: string;
  version: number;
  schema: string;
}

/**
 * A cache of schemas of tenants' own events, with the least recently used dropped first. Entries may be stale: callers
 * must assert the version in the transaction that uses it.
 */
@Injectable()
export class SchemaCache {
  private readonly entries = new Map<string, { registration: Registration; characters: number }>();
  private characters = 0;

  constructor(private readonly database: TenantDatabase) {}

  /** The cached registration of a type, if any. */
  known({ tenantId }: TenantScope, name: string): Registration | undefined {
    const key = keyOf(tenantId, name);
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.registration;
  }

  /** Reads the current registration and caches it. */
  async read(scope: TenantScope, name: string): Promise<Registration> {
    const { tenantId } = scope;
    const [row] = await this.database.query<SchemaRow>(scope, findSchema(tenantId, name));
    const schema = row && (JSON.parse(row.schema) as SchemaObject);
    const registration = new Registration(name, row?.id ?? null, row?.version ?? 0, schema);
    this.forget(tenantId, name);
    const key = keyOf(tenantId, name);
    const characters = key.length + (row?.schema.length ?? 0);
    this.entries.set(key, { registration, characters });
    this.characters += characters;
    for (const [oldest, { characters: freed }] of this.entries) {
      if (this.entries.size <= MAX_ENTRIES && this.characters <= MAX_CHARACTERS) break;
      this.entries.delete(oldest);
      this.characters -= freed;
    }
    return registration;
  }

  /** Drops a type that this process has changed. */
  forget(tenantId: string, name: string): void {
    const key = keyOf(tenantId, name);
    this.characters -= this.entries.get(key)?.characters ?? 0;
    this.entries.delete(key);
  }
}

function keyOf(tenantId: string, name: string): string {
  return `${tenantId}/${name}`;
}

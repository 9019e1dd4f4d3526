import { Injectable } from '@nestjs/common';
import { sqlState } from '../../platform/database/sql/errors';
import type { Row } from '../../platform/database/sql/statement';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../../platform/database/tenant-database';
import type { FieldFault } from '../../platform/errors';
import { assertRegistered, findSchema } from './event-types.queries';
import { dataFaults } from '../json-schema/evaluation';
import type { SchemaObject } from '../json-schema/validator';

const MAX_ENTRIES = 10_000;
/** Characters of schemas that are kept; ADR 0032 says what they are in memory. */
const MAX_CHARACTERS = 2 * 1024 * 1024;

const DIVISION_BY_ZERO = '22012';

/**
 * Whether a transaction failed by {@link Registration.assertIn}; the lock of a key, which fails so too, is never told.
 */
export function isOutdated(error: unknown): boolean {
  return sqlState(error) === DIVISION_BY_ZERO;
}

/** A type of a tenant's events, as far as it is registered. */
export class Registration {
  constructor(
    private readonly name: string,
    private readonly id: string | null,
    private readonly version: number,
    private readonly schema: SchemaObject | undefined,
  ) {}

  /** What data of this type breaks. */
  faults(data: Record<string, unknown>): FieldFault[] {
    return this.schema ? dataFaults(this.schema, data) : [];
  }

  /**
   * Lets the transaction fail, with what {@link isOutdated} knows, if the type is registered in another way by then.
   */
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
 * The schemas of tenants' own events, kept as long as there is room: those that were not asked for the longest go
 * first. What is kept may be out of date; whoever relies on it asserts it in the transaction that he relies on it in.
 */
@Injectable()
export class SchemaCache {
  private readonly entries = new Map<string, { registration: Registration; characters: number }>();
  private characters = 0;

  constructor(private readonly database: TenantDatabase) {}

  /** What is kept of a type, if anything is. */
  known({ tenantId }: TenantScope, name: string): Registration | undefined {
    const key = keyOf(tenantId, name);
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.registration;
  }

  /** The type as it is now; it is kept. */
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

  /** Forgets a type that this process has changed. */
  forget(tenantId: string, name: string): void {
    const key = keyOf(tenantId, name);
    this.characters -= this.entries.get(key)?.characters ?? 0;
    this.entries.delete(key);
  }
}

function keyOf(tenantId: string, name: string): string {
  return `${tenantId}/${name}`;
}

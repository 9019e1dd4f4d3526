import { Injectable } from '@nestjs/common';
import { Core } from './core';
import { migrationNames } from './migrations';
import { ROLES } from './roles';

/** Looks whether the database answers and is at this build's schema. */
@Injectable()
export class DatabaseHealth {
  private readonly expected = migrationNames();

  constructor(private readonly core: Core) {}

  /** The names of migrations that this build has and the database has not. @throws Unavailable when it does not answer */
  async pendingMigrations(): Promise<string[]> {
    const rows = await this.core.read<{ name: string }>(this.core.prologue(ROLES.service, [], true), {
      name: 'applied_migrations',
      text: 'select name from migrations',
      values: [],
    });
    const applied = new Set(rows.map((row) => row.name));
    return this.expected.filter((name) => !applied.has(name));
  }
}

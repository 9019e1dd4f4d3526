import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The first id of a UUIDv7 at a distance from now. */
const idAt = (distance: string): string =>
  `(lpad(to_hex((extract(epoch from now() ${distance}) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid`;

/**
 * Once its founder has left, a tenant has no founder any more, and the index would admit another one. The time of a
 * tenant is in its id, so that the sign-in role writes a founder only of a tenant that was made within five minutes.
 */
export class FoundersOfNewTenants1765250000180 implements MigrationInterface {
  name = 'FoundersOfNewTenants1765250000180';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter policy memberships_at_registration on memberships
        with check (
          tenant_id = current_setting('app.tenant_id')::uuid and founder
          and tenant_id > ${idAt(`- interval '5 minutes'`)} and tenant_id < ${idAt(`+ interval '5 minutes'`)});
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter policy memberships_at_registration on memberships
        with check (tenant_id = current_setting('app.tenant_id')::uuid and founder);
    `);
  }
}

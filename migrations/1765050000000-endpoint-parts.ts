import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Expands endpoints by a column for the encrypted values of their headers and the query of their URL; `url` and
 * `headers` keep the masked form. The leader moves the values of older rows there in small batches. The next release
 * drops unused columns.
 */
export class EndpointParts1765050000000 implements MigrationInterface {
  name = 'EndpointParts1765050000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table webhook_endpoints add column encrypted_parts text');
    // Shows the tenants with such rows, and nothing of the rows.
    await runner.query('grant select (tenant_id) on webhook_endpoints to app_dispatcher');
    await runner.query(`
      create policy webhook_endpoints_unencrypted on webhook_endpoints for select to app_dispatcher
        using (encrypted_parts is null and (headers <> '{}' or position('?' in url) > 0))
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy webhook_endpoints_unencrypted on webhook_endpoints');
    await runner.query('revoke select (tenant_id) on webhook_endpoints from app_dispatcher');
    await runner.query('alter table webhook_endpoints drop column encrypted_parts');
  }
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * An undone change of an address also ends personal keys that were changed since: by a rotation, the author of the
 * change has got a text of a key that the person had before.
 */
export class KeysChangedSince1765250000000 implements MigrationInterface {
  name = 'KeysChangedSince1765250000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('grant select (updated_at) on api_keys to app_sign_in');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('revoke select (updated_at) on api_keys from app_sign_in');
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { KeysDatabase } from '../database/roles/keys-database';
import { recordContext } from './key-check';
import { recordedKeys, removeKeys, replaceKey } from './key-check.queries';
import { SECRET_BOX, type SecretBox } from './secret-box.module';

/** The keys that the database has recorded: every process needs them to start (`key-check.ts`). */
@Injectable()
export class KeyRecords {
  constructor(
    private readonly database: KeysDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {}

  /** The ids of the recorded keys. */
  async kids(): Promise<string[]> {
    const rows = await this.database.query<{ kid: string }>(recordedKeys());
    return rows.map(({ kid }) => kid);
  }

  /** Removes keys: processes start without them. */
  async remove(kids: readonly string[]): Promise<void> {
    if (kids.length > 0) await this.database.write(removeKeys(kids));
  }

  /** Gives up a lost key. A configured key of this id counts as another one from now on. */
  async forget(kid: string): Promise<void> {
    if (!this.box.kids.includes(kid)) return this.remove([kid]);
    await this.database.write(replaceKey(kid, this.box.encrypt(kid, recordContext(kid), kid), new Date()));
  }
}

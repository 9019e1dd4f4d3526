import type { INestApplicationContext } from '@nestjs/common';
import { TotpReencryption } from '../../auth/totp/totp-reencryption';
import { STORED_RESPONSES } from '../../platform/http/responses/stored-response-encryption';
import { KeyRecords } from '../../platform/crypto/key-records';
import { type EncryptedColumn, type Reencrypted, Reencryption } from '../../platform/crypto/reencryption';
import { newKey } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { NO_TENANT } from '../../platform/database/tenant-database';
import { WAITING_MAILS } from '../../platform/mail/waiting-mails';
import { OperatorTenants } from '../../tenants/operator/operator-tenants.service';
import { UsageError } from '../lifecycle';
import { ENDPOINT_SECRETS } from '../../webhooks/endpoints/encrypted-secrets';
import type { Command, Report } from './command';

/**
 * The encrypted columns of tenants' rows that are re-encrypted; the secrets of authenticator apps belong to people
 * ({@link TotpReencryption}). Waiting mails are only counted: they are gone within half a day. The audit logs' signing
 * keys are not counted: an undecryptable one is replaced.
 */
const ENCRYPTED_COLUMNS = [ENDPOINT_SECRETS, STORED_RESPONSES];
const MAX_FAULTS = 100;

export const listCommand: Command = {
  summary: 'Lists the encryption keys, with the number of texts in the database that each has encrypted',
  description: `The keys of ENCRYPTION_KEYS come first, then the one that is derived from JWT_SECRET (jwt). The first key encrypts, all of
them decrypt. A key with no text left, which no running process encrypts with, can be dropped. Ends with 1 where a text
needs a key that is not configured.`,
  async run({ open }) {
    const app = await open();
    const { kids, currentKid } = app.get<SecretBox>(SECRET_BOX);
    const counts = await countAll(app);
    const keys = [...new Set([...kids, ...counts.keys()])].map((kid) => ({
      kid,
      current: kid === currentKid,
      configured: kids.includes(kid),
      encrypted: counts.get(kid) ?? 0,
    }));
    return {
      lines: keys.map(({ kid, current, configured, encrypted }) => {
        const note = current ? '  current' : configured ? '' : '  is not configured: its texts cannot be decrypted';
        return `${kid}  encrypted ${encrypted}${note}`;
      }),
      data: { keys },
      failed: keys.some(({ configured }) => !configured),
    };
  },
};

export const newCommand: Command = {
  summary: 'Prints a new key of this id, as ENCRYPTION_KEYS takes it',
  description: `The key is stored nowhere.

To rotate: put it behind the others in ENCRYPTION_KEYS and restart every process, then in front and restart them again, so
that no process meets a text that it cannot decrypt. Then run encryption-keys reencrypt, and drop the old key once encryption-keys list shows no
text under it.`,
  arguments: '<id>',
  run({ positionals: [kid = ''] }) {
    try {
      const key = newKey(kid);
      return Promise.resolve({ lines: [key], data: { kid, key } });
    } catch (error) {
      throw error instanceof RangeError ? new UsageError(error.message) : error;
    }
  },
};

export const reencryptCommand: Command = {
  summary: 'Encrypts every secret in the database again with the first key of ENCRYPTION_KEYS',
  description: `Secrets are those of webhook endpoints and of authenticator apps, and stored responses that hold one. Works in small
transactions, beside running processes; it can be stopped and run again. Ends with 1 where a text cannot be decrypted, and
names its place and the missing key.`,
  async run({ dryRun, open }): Promise<Report> {
    const app = await open();
    const { currentKid } = app.get<SecretBox>(SECRET_BOX);
    if (dryRun) {
      const counts = await countByKey(app, ENCRYPTED_COLUMNS);
      const outdated = [...counts].reduce((sum, [kid, count]) => (kid === currentKid ? sum : sum + count), 0);
      return {
        lines: [`would encrypt ${outdated} texts again with ${currentKid}`],
        data: { kid: currentKid, outdated },
      };
    }
    const reencryption = app.get(Reencryption);
    const total: Reencrypted = { reencrypted: 0, failed: 0, faults: [] };
    const add = ({ reencrypted, failed, faults }: Reencrypted): void => {
      total.reencrypted += reencrypted;
      total.failed += failed;
      total.faults.push(...faults.slice(0, MAX_FAULTS - total.faults.length));
    };
    await app.get(OperatorTenants, { strict: false }).forEvery(async (scope) => {
      for (const texts of ENCRYPTED_COLUMNS) {
        add(await reencryption.reencrypt(scope, texts));
      }
    });
    add(await app.get(TotpReencryption).reencrypt());
    await releaseUnused(app, currentKid);
    const summary = `encrypted ${total.reencrypted} rows again with ${currentKid}`;
    return {
      lines: total.failed === 0 ? [summary] : [summary, `${total.failed} could not be decrypted:`, ...total.faults],
      data: { kid: currentKid, ...total },
      failed: total.failed > 0,
    };
  },
};

export const forgetCommand: Command = {
  summary: 'Gives up the texts of a lost key, so that processes start without it',
  description: `They also start with another key of its id. The texts stay in the database, and cannot be decrypted. Tenants have to rotate
their webhook secrets, and people to set up their authenticator apps again.`,
  arguments: '<id>',
  async run({ positionals: [kid = ''], dryRun, open }): Promise<Report> {
    const app = await open();
    const box = app.get<SecretBox>(SECRET_BOX);
    const records = app.get(KeyRecords);
    const isKnown = box.kids.includes(kid) || (await records.kids()).includes(kid);
    if (!isKnown) throw new UsageError(`no key '${kid}' is known`);
    const lines = [`${dryRun ? 'would forget' : 'forgot'} the key ${kid}`];
    if (dryRun) return { lines, data: { kid } };
    await records.forget(kid);
    return { lines, data: { kid } };
  },
};

/** Removes keys without remaining texts: processes start without them. */
async function releaseUnused(app: INestApplicationContext, currentKid: string): Promise<void> {
  const counts = await countAll(app);
  const records = app.get(KeyRecords);
  const recorded = await records.kids();
  await records.remove(recorded.filter((kid) => kid !== currentKid && (counts.get(kid) ?? 0) === 0));
}

/** How many texts of every kind each key has encrypted. */
async function countAll(app: INestApplicationContext): Promise<Map<string, number>> {
  const counts = await countByKey(app, [...ENCRYPTED_COLUMNS, WAITING_MAILS]);
  // Mails that are of no tenant, such as those for a forgotten password.
  addCounts(counts, await app.get(Reencryption).count({ tenantId: NO_TENANT }, WAITING_MAILS));
  return counts;
}

async function countByKey(
  app: INestApplicationContext,
  columns: readonly Pick<EncryptedColumn, 'countByKey'>[],
): Promise<Map<string, number>> {
  const resealing = app.get(Reencryption);
  const counts = await app.get(TotpReencryption).count();
  await app.get(OperatorTenants, { strict: false }).forEvery(async (scope) => {
    for (const texts of columns) addCounts(counts, await resealing.count(scope, texts));
  });
  return counts;
}

function addCounts(counts: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [kid, count] of more) counts.set(kid, (counts.get(kid) ?? 0) + count);
}

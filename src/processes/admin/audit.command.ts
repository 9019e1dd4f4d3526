import { readFileSync } from 'node:fs';
import { AuditVerification, type Verdict } from '../../audit/audit-verification';
import { originOfLog, type ParsedCheckpoint, parseCheckpoint } from '../../audit/checkpoint';
import { OperatorTenants } from '../../tenants/operator/operator-tenants.service';
import { UsageError } from '../lifecycle';
import { type Command, readId } from './command';

const MAX_CHECKPOINT = 64 * 1024;

export const verifyCommand: Command = {
  summary: 'Verifies audit logs from their first entry to their signed head, of all tenants or of one',
  description: 'Reports for each log the first mismatch, and ends with 1 if there is one.',
  options: {
    '--tenant <id>': 'the log of this tenant',
    '--checkpoint <file>':
      'a checkpoint from elsewhere: the note, or the response of GET /audit-log/checkpoint, or the event ' +
      'audit.checkpoint. A truncated or replaced log does not match it',
  },
  async run({ values, open }) {
    const kept = values.checkpoint === undefined ? undefined : readCheckpoint(String(values.checkpoint));
    const named = values.tenant === undefined ? tenantOf(kept) : readId('--tenant', values.tenant);
    if (kept && named !== undefined && kept.origin !== originOfLog(named)) {
      throw new UsageError('the checkpoint is one of another tenant’s log');
    }
    const app = await open();
    const verification = app.get(AuditVerification, { strict: false });
    const verdicts: Verdict[] = [];
    if (named === undefined)
      await app
        .get(OperatorTenants, { strict: false })
        .forEvery(async (scope) => void verdicts.push(await verification.verify(scope)));
    else verdicts.push(await verification.verify({ tenantId: named }, kept));
    return {
      lines: verdicts.map(lineOf),
      data: { logs: verdicts.map(({ tenantId, ...rest }) => ({ tenant_id: tenantId, ...rest })) },
      failed: verdicts.some(({ fault }) => fault !== undefined),
    };
  },
};

function lineOf({ tenantId, size, expired, fault }: Verdict): string {
  const past = expired > 0 ? `, ${expired} of them past retention` : '';
  return fault === undefined ? `${tenantId}  ${size} entries verified${past}` : `${tenantId}  DOES NOT FIT: ${fault}`;
}

/** @throws UsageError for a missing file, or one without a checkpoint */
function readCheckpoint(file: string): ParsedCheckpoint {
  try {
    const text = readFileSync(file, 'utf8').slice(0, MAX_CHECKPOINT);
    return parseCheckpoint(text.trimStart().startsWith('{') ? noteOf(JSON.parse(text)) : text);
  } catch (error) {
    throw new UsageError(`--checkpoint ${file}: ${(error as Error).message}`);
  }
}

/** The note in a response of the API, or in an event. */
function noteOf(value: unknown): string {
  const { note, data } = value as { note?: unknown; data?: { note?: unknown } };
  const found = note ?? data?.note;
  if (typeof found !== 'string') throw new Error('there is no note in it');
  return found;
}

function tenantOf(kept: ParsedCheckpoint | undefined): string | undefined {
  if (!kept) return undefined;
  const id = kept.origin.slice(kept.origin.lastIndexOf('/') + 1);
  if (kept.origin !== originOfLog(id))
    throw new UsageError('the checkpoint is not one of an audit log of this service');
  return readId('the tenant of the checkpoint', id);
}

/** Commands for the API keys of a tenant: which there are, and the end of one that leaked. */
import { OperatorKeys } from '../../api-keys/operator-keys.service';
import { type Command, printable, readId } from './command';

export const listCommand: Command = {
  summary: 'Lists the API keys of a tenant, newest first',
  description: 'Without their texts, which are stored nowhere.',
  arguments: '<tenant>',
  async run({ positionals, open }) {
    const tenantId = readId('the tenant', positionals[0]);
    const keys = await (await open()).get(OperatorKeys, { strict: false }).list(tenantId);
    return {
      lines: keys.map(
        ({ id, kind, hint, scopes, name }) =>
          `${id}  ${kind.padEnd(8)}  ${hint}…  ${scopes.join(',')}  ${printable(name)}`,
      ),
      data: { data: keys },
    };
  },
};

export const revokeCommand: Command = {
  summary: 'Revokes an API key, within 2 seconds',
  arguments: '<tenant> <key>',
  async run({ positionals, dryRun, open }) {
    const tenantId = readId('the tenant', positionals[0]);
    const id = readId('the key', positionals[1]);
    if (dryRun) return { lines: [`would revoke ${id}`], data: { tenant_id: tenantId, id } };
    await (await open()).get(OperatorKeys, { strict: false }).revoke(tenantId, id);
    return { lines: [`revoked ${id}`], data: { tenant_id: tenantId, id } };
  },
};

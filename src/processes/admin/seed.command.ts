import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { RegisterDto } from '../../auth/sign-in/auth.dto';
import { findUserId } from '../../users/users.queries';
import { seedTenant } from '../../dev/demo';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { Conflict, ValidationFailed } from '../../platform/errors';
import { readDto } from '../../platform/http/requests/validation.pipe';
import { UsageError } from '../lifecycle';
import { type Command, type Invocation, readInteger } from './command';

export const seedCommand: Command = {
  usage: '--email ADDRESS [--tenant-name NAME] [--orders N] [--password-file FILE]',
  help: `Makes a tenant with its owner and orders in every state, to try things with.

  --email ADDRESS         of the owner; must not be known yet
  --tenant-name NAME      (Demo Ltd)
  --orders N              how many, 0 to 10000 (36)
  --password-file FILE    the owner's password is this file's first line; left out, one is made and printed`,
  options: {
    email: { type: 'string' },
    'tenant-name': { type: 'string' },
    orders: { type: 'string' },
    'password-file': { type: 'string' },
  },
  async run(invocation) {
    const { values, dryRun, open } = invocation;
    const orders = readInteger('--orders', values.orders ?? '36', 0, 10_000);
    const made = values['password-file'] === undefined;
    const { email, password, tenant_name: tenantName } = readOwner(invocation);
    const app = await open();
    const [known] = await app.get(SignInDatabase).transaction({}, (tx) => tx.query(findUserId(email)));
    if (known) throw new Conflict('This e-mail address is already registered.');
    const seed = { email, password, tenantName, orders };
    if (dryRun) {
      return { lines: [`would make ${tenantName} with ${orders} orders, owned by ${email}`], data: { email, orders } };
    }
    const tenantId = await seedTenant(app, seed);
    return {
      lines: [
        `made ${tenantId} (${tenantName}) with ${orders} orders, owned by ${email}`,
        ...(made ? [`password: ${password}`] : []),
      ],
      data: { tenant_id: tenantId, email, orders, ...(made ? { password } : {}) },
    };
  },
};

/** What a registration takes, by the rules of the API. */
function readOwner({ values }: Invocation): RegisterDto {
  if (values.email === undefined) throw new UsageError('--email is needed');
  try {
    return readDto(RegisterDto, {
      email: values.email,
      tenant_name: values['tenant-name'] ?? 'Demo Ltd',
      password: readPassword(values['password-file']),
    });
  } catch (error) {
    if (!(error instanceof ValidationFailed)) throw error;
    throw new UsageError((error.errors ?? []).map(({ field, message }) => `${field} ${message}`).join('; '));
  }
}

function readPassword(file: string | boolean | undefined): string {
  if (typeof file !== 'string') return randomBytes(18).toString('base64url');
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0] ?? '';
  } catch (error) {
    throw new UsageError(`--password-file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

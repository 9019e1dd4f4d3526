import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { RegisterDto } from '../../auth/sign-in/auth.requests';
import { Users } from '../../users/users';
import { seedTenant } from '../../dev/demo';
import { Conflict, ValidationFailed } from '../../platform/errors';
import { readDto } from '../../platform/http/requests/validation.pipe';
import { UsageError } from '../lifecycle';
import { type Command, type Invocation, readInteger } from './command';

export const seedCommand: Command = {
  summary: 'Makes a tenant with its owner and orders in every state, for trials',
  requiredOptions: { '--email <address>': 'of the owner; must not be registered yet' },
  options: {
    '--tenant-name <name>': 'name of the tenant (Demo Ltd)',
    '--orders <n>': 'number of orders, 0 to 10000 (36)',
    '--password-file <file>':
      'file with the password of the owner in its first line; without it, a password is generated and printed',
  },
  async run(invocation) {
    const { values, dryRun, open } = invocation;
    const orders = readInteger('--orders', values.orders ?? '36', 0, 10_000);
    const made = values.passwordFile === undefined;
    const { email, password, tenant_name: tenantName } = readOwner(invocation);
    const app = await open();
    if (await app.get(Users, { strict: false }).findByEmail(email))
      throw new Conflict('This e-mail address is already registered.');
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

/** The input of a registration, by the rules of the API. */
function readOwner({ values }: Invocation): RegisterDto {
  try {
    return readDto(RegisterDto, {
      email: values.email,
      tenant_name: values.tenantName ?? 'Demo Ltd',
      password: readPassword(values.passwordFile),
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

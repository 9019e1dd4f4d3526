import { ApiClient, type SignedIn } from './client';
import type { TestService } from './service';

/** A person of another tenant who is a member of the owner's too, with the role, signed in there. */
export async function addMember(service: TestService, owner: ApiClient, role: string): Promise<ApiClient> {
  const person = await service.tenant();
  const { user } = person.session as SignedIn;
  await service.database.sql(
    `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, $3, now(), now())`,
    [owner.tenantId, user.id, role],
  );
  await service.database.sql('insert into user_tenants (tenant_id, user_id) values ($1, $2)', [
    owner.tenantId,
    user.id,
  ]);
  const login = await service.client.post('/auth/login', {
    email: user.email,
    password: 'a password for tests',
    tenant_id: owner.tenantId,
  });
  if (login.status !== 200) throw new Error(`sign-in failed: ${login.status} ${login.text}`);
  return new ApiClient(service.url, login.body as SignedIn);
}

/** The id of the person that the client belongs to. */
export const personOf = (client: ApiClient): string => (client.session as SignedIn).user.id;

/** Makes a key and gives a client that uses it, with the key as the API shows it. */
export async function makeKey(
  client: ApiClient,
  input: Record<string, unknown> = {},
): Promise<{ client: ApiClient; key: Record<string, string> & { version: number } }> {
  const response = await client.post('/api-keys', { name: 'Key', kind: 'tenant', scopes: ['orders:read'], ...input });
  if (response.status !== 201) throw new Error(`no key: ${response.status} ${response.text}`);
  return { client: client.withToken(response.body.key as string), key: response.body };
}

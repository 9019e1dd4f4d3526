import { randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiClient } from '../harness/client';
import { addMember, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';

describe('invitations', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { MAIL_DIRECTORY: await mkdtemp(join(tmpdir(), 'mail-')) } });
  });
  beforeEach(async () => {
    owner = await service.tenant();
  });
  afterAll(() => service.stop());

  const invite = (client: ApiClient, email = newEmail(), role = 'member') =>
    client.post('/invitations', { email, role });

  it('are made, listed, read, sent again and withdrawn, and never show a token', async () => {
    const email = newEmail();
    const made = await invite(owner, email);
    expect([made.status, made.headers.get('location')]).toEqual([201, `/api/v1/invitations/${made.body.id}`]);
    expect(made.body).toEqual({
      id: expect.any(String),
      email,
      role: 'member',
      invited_by: personOf(owner),
      expires_at: expect.any(String),
      created_at: expect.any(String),
      version: 1,
    });
    const path = `/invitations/${made.body.id}`;
    expect((await owner.get('/invitations')).body.data).toEqual([made.body]);
    expect((await owner.get(path)).body).toEqual(made.body);
    expectProblem(await invite(owner, email.toUpperCase().replace('@EXAMPLE.COM', '@example.com')), 'conflict');
    expect((await owner.post(`${path}/resend`)).status).toBe(202);
    expect((await owner.get(path)).body.version).toBe(2);
    expectProblem(await owner.delete(path, { 'if-match': '"1"' }), 'version_conflict');
    expect((await owner.delete(path)).status).toBe(204);
    expectProblem(await owner.get(path), 'not_found');
    expect((await invite(owner, email)).status).toBe(201);
    const mails = await service.database.sql('select template from mail_outbox where tenant_id = $1', [owner.tenantId]);
    expect(mails).toEqual([{ template: 'invitation' }, { template: 'invitation' }, { template: 'invitation' }]);
  });

  it('offer no more than the inviter has, and only roles that there are', async () => {
    const admin = await addMember(service, owner, 'admin');
    const member = await addMember(service, owner, 'member');
    expectProblem(await invite(admin, newEmail(), 'owner'), 'forbidden');
    expectProblem(await invite(member), 'forbidden');
    expectProblem(await invite(owner, newEmail(), 'unknown'), 'validation_error');
    expectProblem(await invite(owner, 'not an address'), 'validation_error');
    expectProblem(
      await owner.post('/invitations', { email: newEmail(), role: 'member', tenant_id: randomUUID() }),
      'validation_error',
    );
    const ofOwner = await invite(owner, newEmail(), 'owner');
    expectProblem(await admin.post(`/invitations/${ofOwner.body.id}/resend`), 'forbidden');
    expectProblem(await admin.delete(`/invitations/${ofOwner.body.id}`), 'forbidden');
  });

  it('are refused for an address that is a member already', async () => {
    expectProblem(await invite(owner, owner.session?.user.email), 'conflict');
  });

  it('have one winner of 20 at once for an address', async () => {
    const email = newEmail();
    const responses = await Promise.all(Array.from({ length: 20 }, () => invite(owner, email)));
    expect(responses.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(19).fill(409)]);
  });

  it('of another tenant are not there', async () => {
    const { id } = (await invite(owner)).body;
    const stranger = await service.tenant();
    for (const response of [
      await stranger.get(`/invitations/${id}`),
      await stranger.delete(`/invitations/${id}`),
      await stranger.post(`/invitations/${id}/resend`),
    ]) {
      expectProblem(response, 'not_found');
    }
  });

  it('need mail', async () => {
    const without = await startService({ database: service.database });
    try {
      const client = await without.tenant();
      const problem = expectProblem(await invite(client), 'business_rule_violation');
      expect(problem.detail).toContain('Mail is not configured');
    } finally {
      await without.stop();
    }
  });
});

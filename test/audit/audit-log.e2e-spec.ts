import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { AuditLog } from '../../src/platform/audit/audit-log';
import { Refusals } from '../../src/platform/audit/refusals';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { AuditVerification } from '../../src/audit/audit-verification';
import { AuditFolder } from '../../src/audit/folding/audit-folder';
import { Erasures } from '../../src/audit/folding/erasures';
import { RefusalWriter } from '../../src/audit/folding/refusal-writer';
import { AuditVerificationError, verifyAuditProof } from '../../clients/typescript/src/audit';
import { admin } from '../harness/admin';
import type { ApiClient, SignedIn } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { type Receiver, startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { startWorker, type TestWorker } from '../harness/worker';

const URL = 'https://receiver.example.com/hook?key=a-key-in-the-query';
const ORDER = {
  customer_id: '3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c',
  currency: 'USD',
  items: [{ product_id: 'p', product_name: 'P', quantity: 1, unit_price: '1.00' }],
};

describe('the audit log', () => {
  let service: TestService;
  let worker: TestWorker;
  let tenant: ApiClient;
  let receivers: Receiver[] = [];

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database);
  });
  afterAll(async () => {
    for (const receiver of receivers) await receiver.stop();
    await worker.stop();
    await service.stop();
  });
  beforeEach(async () => {
    tenant = await service.tenant();
  });

  const entries = async (query = ''): Promise<any[]> => (await tenant.get(`/audit-log${query}`)).body.data; // eslint-disable-line @typescript-eslint/no-explicit-any
  const fold = async (): Promise<void> => {
    while ((await worker.app.get(AuditFolder, { strict: false }).fold(tenant.tenantId)) > 0);
  };
  /** Waits until the worker or {@link fold} has taken all of them. */
  const folded = async (size: number): Promise<void> => {
    for (const deadline = Date.now() + 15_000; Date.now() < deadline; await new Promise((r) => setTimeout(r, 50))) {
      await fold();
      const checkpoint = await tenant.get('/audit-log/checkpoint');
      if (checkpoint.status === 200 && checkpoint.body.size >= size) return;
    }
    throw new Error('the tree did not take the entries');
  };
  const record = (count: number) =>
    service.app.get(TenantDatabase).transaction(tenant, (tx) => {
      for (let at = 0; at < count; at++) {
        service.app.get(AuditLog).record(
          tx,
          {
            tenantId: tenant.tenantId,
            actor: { type: 'user', id: tenant.session?.user.id ?? null },
            origin: { network: '203.0.113.9' },
          },
          { action: 'test.done', target: { type: 'test', id: String(at) }, changes: { at: [null, at] } },
        );
      }
      return Promise.resolve();
    });
  const verify = async (...args: string[]): Promise<{ code: number; stdout: string }> => {
    const { lines, failed } = await admin(service.database, ['audit', 'verify', '--tenant', tenant.tenantId, ...args]);
    return { code: failed ? 1 : 0, stdout: lines.join('\n') };
  };
  const sql = (text: string, values: unknown[] = []) => service.database.sql(text, values);

  it('names endpoints, their secrets and changes of status, without a secret in it', async () => {
    const { id, secret } = await createEndpoint(tenant, URL, { headers: { authorization: 'Bearer a-token' } });
    await tenant.patch(`/webhooks/endpoints/${id}`, { enabled: false, headers: { 'x-key': 'another-token' } });
    await tenant.get(`/webhooks/endpoints/${id}/secret`);
    const rotated = await tenant.post(`/webhooks/endpoints/${id}/rotate-secret`, {});
    await tenant.delete(`/webhooks/endpoints/${id}`);
    const order = (await tenant.post('/orders', ORDER)).body;
    await tenant.patch(`/orders/${order.id}/status`, { status: 'confirmed' }, { 'user-agent': 'test/1\u0009x' });

    const all = await entries();
    expect(all.map(({ action }) => action)).toEqual(
      expect.arrayContaining([
        'order.status_changed',
        'webhook_endpoint.deleted',
        'webhook_endpoint.secret_rotated',
        'webhook_endpoint.secret_read',
        'webhook_endpoint.updated',
        'webhook_endpoint.created',
      ]),
    );
    expect(all[0]).toEqual({
      id: expect.any(String),
      occurred_at: expect.stringMatching(/^\d{4}-.*Z$/),
      actor: { type: 'user', id: tenant.session?.user.id },
      action: 'order.status_changed',
      target: { type: 'order', id: order.id },
      changes: { status: ['pending', 'confirmed'] },
      network: '127.0.0.1',
      user_agent: 'test/1\\u0009x',
      request_id: expect.any(String),
      session_id: expect.any(String),
      outcome: 'success',
      count: 1,
    });
    const updated = all.find(({ action }) => action === 'webhook_endpoint.updated');
    expect(updated.changes).toEqual({ enabled: [true, false], headers: ['•', '•'] });
    const text =
      JSON.stringify(await sql('select * from audit_log')) + JSON.stringify(await sql('select * from audit_personal'));
    for (const hidden of [secret, rotated.body.secret, 'a-token', 'another-token', 'a-key-in-the-query']) {
      expect(text).not.toContain(hidden);
      expect(JSON.stringify(all)).not.toContain(hidden);
    }
  });

  it('writes nothing where the change is rolled back', async () => {
    const order = (await tenant.post('/orders', ORDER)).body;
    expect((await tenant.patch(`/orders/${order.id}/status`, { status: 'completed' })).status).toBe(422);
    expect(await entries('?action=order.status_changed')).toEqual([]);
  });

  it('filters, pages and exports, and is one tenant’s alone', async () => {
    await record(7);
    const first = await tenant.get('/audit-log?action=test.done&limit=3');
    const second = await tenant.get(`/audit-log?action=test.done&limit=3&cursor=${first.body.next_cursor}`);
    const ids = [...first.body.data, ...second.body.data].map((entry: { target: { id: string } }) => entry.target.id);
    expect(ids).toEqual(['6', '5', '4', '3', '2', '1']);
    expect(await entries('?target_type=test&target_id=3')).toHaveLength(1);
    expect(await entries(`?actor_id=${tenant.session?.user.id}&action=test.done&limit=100`)).toHaveLength(7);
    expect(await entries(`?until=2020-01-01T00:00:00Z`)).toEqual([]);
    expect(await entries(`?since=2020-01-01T00:00:00Z&action=test.done`)).toHaveLength(7);
    const csv = await tenant.get('/audit-log/export?format=csv&action=test.done');
    expect(csv.headers.get('content-type')).toMatch(/^text\/csv/);
    expect(csv.text.trim().split('\r\n')).toHaveLength(8);
    const lines = (await tenant.get('/audit-log/export?action=test.done')).text.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).target.id)).toEqual(['6', '5', '4', '3', '2', '1', '0']);
    const other = await service.tenant();
    const [mine] = await entries('?action=test.done');
    expect((await other.get('/audit-log?action=test.done')).body.data).toEqual([]);
    expect((await other.get(`/audit-log/${mine.id}/proof`)).status).toBe(404);
    expect((await service.client.get('/audit-log')).status).toBe(401);
  });

  it('cannot be changed, emptied or cut by any of the service’s roles', async () => {
    await record(1);
    const client = new Client({ connectionString: service.database.serviceUrl });
    await client.connect();
    const roles = ['app_service', 'app_sign_in', 'app_audit', 'app_relay', 'app_dispatcher', 'app_mail'];
    for (const role of roles) {
      for (const statement of ['update audit_log set action = $$x$$', 'delete from audit_log', 'truncate audit_log']) {
        await client.query('begin');
        await client.query(`set local role ${role}; set local app.tenant_id = '${tenant.tenantId}'`);
        await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' });
        await client.query('rollback');
      }
    }
    // Only retention deletes, and its minimum protects younger entries.
    await client.query(`begin; set local role app_janitor`);
    expect((await client.query('delete from audit_log')).rowCount).toBe(0);
    await client.query('rollback');
    await client.end();
  });

  it('loses no entry of twenty writers at once, and folds each once', async () => {
    const before = (await entries('?limit=100')).length;
    await Promise.all(Array.from({ length: 20 }, () => record(5)));
    await folded(before + 100);
    const rows = await sql('select leaf_index, entry_id from audit_leaves where tenant_id = $1 order by leaf_index', [
      tenant.tenantId,
    ]);
    expect(rows.map((row) => Number(row.leaf_index))).toEqual(rows.map((_, at) => at));
    expect(new Set(rows.map((row) => row.entry_id)).size).toBe(before + 100);
    expect(await verify()).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${before + 100} entries verified`),
    });
  });

  it('folds while several workers try', async () => {
    await record(40);
    const folder = worker.app.get(AuditFolder, { strict: false });
    await Promise.all(Array.from({ length: 8 }, () => folder.fold(tenant.tenantId)));
    await folded(40);
    expect((await verify()).code).toBe(0);
  });

  it('proves entries and consistency to the client’s verifier', async () => {
    await record(9);
    await folded(9);
    const earlier = (await tenant.get('/audit-log/checkpoint')).body;
    await record(5);
    await folded(earlier.size + 5);
    const checkpoint = (await tenant.get('/audit-log/checkpoint')).body;
    const keys = (await fetch(`${service.url}/.well-known/audit-keys.json`).then((r) => r.json())) as never;
    const consistency = (await tenant.get(`/audit-log/consistency?from=${earlier.size}&to=${checkpoint.size}`)).body;
    for (const entry of await entries('?limit=100')) {
      const proof = (await tenant.get(`/audit-log/${entry.id}/proof?size=${checkpoint.size}`)).body;
      await verifyAuditProof({ keys, checkpoint, entry, proof, earlier, consistency });
      const refused = async (change: object, fault: string): Promise<void> =>
        expect(
          verifyAuditProof({ keys, checkpoint, entry, proof, earlier, consistency, ...change }),
        ).rejects.toMatchObject({
          name: 'AuditVerificationError',
          fault,
        });
      await refused({ entry: { ...entry, action: 'something.else' } }, 'entry_differs');
      await refused({ entry: { ...entry, network: '198.51.100.1' } }, 'entry_differs');
      await refused({ entry: { ...entry, changes: { ...entry.changes, more: [1, 2] } } }, 'entry_differs');
      await refused(
        { proof: { ...proof, leaf_index: (proof.leaf_index + 1) % proof.size } },
        expect.stringMatching(/root_differs|malformed_proof/) as never,
      );
      await refused({ proof: { ...proof, canonical: Buffer.from('other').toString('base64') } }, 'leaf_differs');
    }
    const forged = checkpoint.note.replace(`\n${checkpoint.size}\n`, `\n${checkpoint.size + 1}\n`);
    await expect(verifyAuditProof({ keys, checkpoint: forged })).rejects.toBeInstanceOf(AuditVerificationError);
    await expect(verifyAuditProof({ keys, checkpoint: earlier, earlier: checkpoint })).rejects.toMatchObject({
      fault: 'end_is_missing',
    });
    expect((await tenant.get(`/audit-log/consistency?from=1&to=${checkpoint.size + 1}`)).status).toBe(422);
    const [newest] = await entries();
    expect((await tenant.get(`/audit-log/${newest.id}/proof?size=1`)).status).toBe(422);
  });

  describe('after changes by a superuser', () => {
    let folder: string;
    let file: string;
    let size: number;

    beforeEach(async () => {
      await record(12);
      await folded(12);
      folder = mkdtempSync(join(tmpdir(), 'audit-'));
      file = join(folder, 'checkpoint.txt');
      const checkpoint = (await tenant.get('/audit-log/checkpoint')).body;
      size = checkpoint.size;
      writeFileSync(file, checkpoint.note);
      expect(await verify('--checkpoint', file)).toMatchObject({ code: 0 });
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    const leaf = async (index: number) =>
      (
        await sql('select entry_id from audit_leaves where tenant_id = $1 and leaf_index = $2', [
          tenant.tenantId,
          index,
        ])
      )[0]?.entry_id as string;
    const names = async (words: string, ...args: string[]): Promise<void> => {
      const { code, stdout } = await verify(...args);
      expect([code, stdout]).toEqual([1, expect.stringContaining(words)]);
    };

    it('names an edited entry, and the edited part', async () => {
      const id = await leaf(size - 4);
      await sql(`update audit_log set action = 'test.undone' where tenant_id = $1 and id = $2`, [tenant.tenantId, id]);
      await names(`entry ${id} (leaf ${size - 4}) was changed: action`);
    });

    it('names an entry whose personal values were edited', async () => {
      const id = await leaf(size - 3);
      await sql(`update audit_personal set data = '{"network":"192.0.2.1"}' where tenant_id = $1 and entry_id = $2`, [
        tenant.tenantId,
        id,
      ]);
      await names(`entry ${id} (leaf ${size - 3}) was changed: network`);
    });

    it('names an entry that was removed from the middle', async () => {
      const id = await leaf(size - 6);
      await sql('delete from audit_log where tenant_id = $1 and id = $2', [tenant.tenantId, id]);
      await names(`entry ${id} (leaf ${size - 6}) is missing`);
    });

    it('names a leaf that was removed with its entry', async () => {
      await sql('delete from audit_leaves where tenant_id = $1 and leaf_index = $2', [tenant.tenantId, size - 6]);
      await names(`leaf ${size - 6} is missing`);
    });

    it('names an entry that was rewritten with its leaf', async () => {
      const { code, stdout } = await (async () => {
        const id = await leaf(size - 5);
        await sql(`update audit_log set canonical = 'x' where tenant_id = $1 and id = $2`, [tenant.tenantId, id]);
        await sql(`update audit_leaves set hash = sha256('\\x0078'::bytea) where tenant_id = $1 and entry_id = $2`, [
          tenant.tenantId,
          id,
        ]);
        return verify();
      })();
      expect([code, stdout]).toEqual([1, expect.stringMatching(/DOES NOT FIT/)]);
    });

    it('names the end that was cut off, with and without the head', async () => {
      await sql('delete from audit_log where tenant_id = $1 and id = $2', [tenant.tenantId, await leaf(size - 1)]);
      await sql('delete from audit_leaves where tenant_id = $1 and leaf_index >= $2', [tenant.tenantId, size - 1]);
      await names(`the end is missing: leaf ${size - 1}`);
      await sql('update audit_trees set size = size - 1 where tenant_id = $1', [tenant.tenantId]);
      await names(`the kept checkpoint has ${size} entries, the log has ${size - 1}`, '--checkpoint', file);
    });

    it('names a fork: a log that was cut, and grown again by the service itself', async () => {
      const tables = ['audit_leaves', 'audit_nodes', 'audit_trees', 'audit_log', 'audit_personal'];
      for (const table of tables) await sql(`delete from ${table} where tenant_id = $1`, [tenant.tenantId]);
      await record(size + 3);
      await folded(size + 3);
      expect((await verify()).code).toBe(0);
      await names(`its first ${size} entries have another root`, '--checkpoint', file);
    });

    it('names an entry that was slipped in beside the tree', async () => {
      const id = '01900000-0000-7000-8000-000000000001';
      await sql(
        `insert into audit_log select tenant_id, $2, occurred_at, actor_type, actor_id, actor_via, action, target_type, target_id,
           changes, request_id, session_id, outcome, count, canonical from audit_log where tenant_id = $1 limit 1`,
        [tenant.tenantId, id],
      );
      await names(`entry ${id} is in the log and not in its tree`);
    });
  });

  it('verifies while it grows', async () => {
    await record(3);
    await folded(3);
    const database = service.app.get(TenantDatabase);
    const read = database.queryIsolated.bind(database);
    const verification = service.app.get(AuditVerification, { strict: false });
    // The tree takes more entries between the read of its head and that of its leaves.
    const reading = jest.spyOn(database, 'queryIsolated').mockImplementationOnce(async (scope, statement) => {
      const { size } = (await tenant.get('/audit-log/checkpoint')).body as { size: number };
      await record(5);
      await folded(size + 5);
      return read(scope, statement);
    });
    expect(await verification.verify(tenant)).toEqual({
      tenantId: tenant.tenantId,
      size: expect.any(Number),
      expired: 0,
    });
    reading.mockRestore();
    // Leaves beyond every head are a fault nevertheless.
    await sql('update audit_trees set size = size - 1 where tenant_id = $1', [tenant.tenantId]);
    expect((await verification.verify(tenant)).fault).toMatch(/signed head|signed root/);
  });

  it('of a database that was copied while entries of any age wait for their tree has no fault', async () => {
    const copy = await startService(); // without a worker, as a restored dump
    try {
      const of = (await copy.tenant()).tenantId;
      const old = '01900000-0000-7000-8000-000000000002';
      const [entry] = await copy.database.sql<{ id: string }>(
        `select id from audit_log where tenant_id = $1 and action = 'tenant.created'`,
        [of],
      );
      await copy.database.sql('update audit_log set id = $2 where tenant_id = $1 and id = $3', [of, old, entry?.id]);
      await copy.database.sql('update audit_pending set entry_id = $2 where tenant_id = $1 and entry_id = $3', [
        of,
        old,
        entry?.id,
      ]);
      const verified = await admin(copy.database, ['audit', 'verify', '--tenant', of]);
      expect([verified.failed, verified.lines.join('\n')]).toEqual([false, expect.not.stringContaining('NOT FIT')]);
      await copy.database.sql('delete from audit_pending where tenant_id = $1 and entry_id = $2', [of, old]);
      const without = await admin(copy.database, ['audit', 'verify', '--tenant', of]);
      expect(without.lines.join('\n')).toContain(`entry ${old} is in the log and not in its tree`);
    } finally {
      await copy.stop();
    }
  });

  it('erases the personal values of a person, and every proof stays valid', async () => {
    await record(3);
    await folded(3);
    const userId = tenant.session?.user.id as string;
    await service.app.get(TenantDatabase).transaction(tenant, (tx) => {
      service.app.get(AuditLog).erasePerson(tx, tenant.tenantId, userId);
      return Promise.resolve();
    });
    await worker.app.get(Erasures, { strict: false }).carryOut();
    const [entry] = await entries('?action=test.done');
    expect(entry).toMatchObject({ network: null, user_agent: null });
    const checkpoint = (await tenant.get('/audit-log/checkpoint')).body;
    const proof = (await tenant.get(`/audit-log/${entry.id}/proof`)).body;
    expect(proof.salts).toEqual({});
    const keys = (await fetch(`${service.url}/.well-known/audit-keys.json`).then((r) => r.json())) as never;
    await verifyAuditProof({ keys, checkpoint, entry, proof });
    expect((await verify()).code).toBe(0);
  });

  it('writes refusals as one entry a kind and hour, and a hundred of anonymous callers at most', async () => {
    const refusals = service.app.get(Refusals);
    const lastHour = new Date(Date.now() - 2 * 60 * 60 * 1_000);
    const { tenantId } = tenant;
    const person = { tenantId, actor: { type: 'user', id: '0198c0de-7a11-7000-8000-0000000000aa' } };
    for (let at = 0; at < 50; at++) {
      refusals.count(
        {
          caller: person,
          entry: { action: 'order.created', target: { type: 'route', id: 'POST /orders' }, outcome: 'denied' },
        },
        lastHour,
      );
    }
    for (let at = 0; at < 150; at++) {
      const caller = { tenantId, actor: { type: 'anonymous', id: null }, network: `203.0.113.${at}` };
      refusals.count(
        { caller, entry: { action: 'sign_in.failed', target: { type: 'user', id: null }, outcome: 'failure' } },
        lastHour,
      );
    }
    await refusals.flush();
    const writer = worker.app.get(RefusalWriter, { strict: false });
    await Promise.all([writer.writeAll(), writer.writeAll()]);
    expect(await entries('?action=order.created')).toMatchObject([
      { count: 50, outcome: 'denied', actor: person.actor },
    ]);
    const failed = (await entries('?action=sign_in.failed&limit=100')).length;
    const [rest] = await entries('?action=refusals.other');
    expect(failed).toBe(100);
    expect(rest).toMatchObject({ count: 50, outcome: 'denied' });
  });

  it('counts refusals of a role, and failed sign-ins, in the log of the target tenant', async () => {
    const { email, id } = (tenant.session as SignedIn).user;
    for (let at = 0; at < 3; at++) {
      expect((await service.client.post('/auth/login', { email, password: 'not the password' })).status).toBe(401);
    }
    await sql(`update memberships set role = 'viewer' where tenant_id = $1`, [tenant.tenantId]);
    await sql('update tenant_auth_state set epoch = epoch + 1 where tenant_id = $1', [tenant.tenantId]);
    const refused = async (): Promise<number> => (await tenant.post('/orders', ORDER)).status;
    for (const deadline = Date.now() + 10_000; (await refused()) !== 403 && Date.now() < deadline;);
    await service.app.get(Refusals).flush();
    const kept = await sql('select entry, count from audit_refusals where tenant_id = $1', [tenant.tenantId]);
    expect(kept).toEqual(
      expect.arrayContaining([
        {
          entry: expect.objectContaining({
            actor: { type: 'anonymous', id: null },
            entry: { action: 'sign_in.failed', target: { type: 'user', id }, outcome: 'failure' },
          }),
          count: 3,
        },
        {
          entry: expect.objectContaining({
            actor: { type: 'user', id },
            entry: expect.objectContaining({ target: { type: 'route', id: 'POST /api/v1/orders' } }),
          }),
          count: 1,
        },
      ]),
    );
    expect(JSON.stringify(kept)).not.toContain('not the password');
  });

  it('goes out as events to an endpoint that subscribes to them, and not under *', async () => {
    const [receiver, all] = (receivers = [await startReceiver(), await startReceiver()]) as [Receiver, Receiver];
    // The entries of the registration are folded before an endpoint subscribes to them.
    await folded(2);
    await createEndpoint(tenant, receiver.url, { event_types: ['audit.*'] });
    await createEndpoint(tenant, all.url);
    await record(2);
    await folded(6);
    await worker.app.get(AuditFolder, { strict: false }).announceHeads();
    const received = (await receiver.waitFor(5)).map(({ body }) => JSON.parse(body));
    const done = received.filter(({ data }) => data.action === 'test.done');
    expect(done).toMatchObject([
      {
        type: 'audit.activity',
        data: { leaf_index: expect.any(Number), ocsf: { class_uid: 6003, metadata: { version: '1.3.0' } } },
      },
      { type: 'audit.activity' },
    ]);
    const checkpoint = received.find(({ type }) => type === 'audit.checkpoint');
    const keys = (await fetch(`${service.url}/.well-known/audit-keys.json`).then((r) => r.json())) as never;
    await verifyAuditProof({ keys, checkpoint: checkpoint.data });
    expect(all.received).toEqual([]);
  });
});

import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { type ApiClient, orderInput } from '../../../harness/client';
import { startService, type TestService } from '../../../harness/service';
import { until } from '../../../harness/until';

/** A client that ended its side so long ago does not wait for a response. */
const LEFT_MS = 1_200;
/** Connections of one tenant: half of those for transactions. */
const SHARE = 2;

describe('requests whose clients have left', () => {
  let service: TestService;
  let tenant: ApiClient;
  let owner: Client;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
    owner = new Client({ connectionString: service.database.ownerUrl });
    await owner.connect();
  });
  afterAll(async () => {
    await owner.end();
    await service.stop();
  });

  const send = (method: string, path: string, body = ''): Socket => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1').on('error', () => undefined);
    socket.write(
      `${method} /api/v1${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tenant.session?.access_token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    return socket;
  };
  /** The statements that PostgreSQL got meanwhile. */
  const statementsDuring = async (work: () => Promise<void>): Promise<string[]> => {
    const queries = jest.spyOn(Client.prototype, 'query');
    try {
      await work();
      return queries.mock.calls.map(([query]) => (query as unknown as { text?: string }).text ?? String(query));
    } finally {
      queries.mockRestore();
    }
  };
  /** Statements that wait for a table. */
  const waiting = async (): Promise<number> => {
    // Not on the owner's connection: in its transaction the view does not change.
    const [row] = (await service.database.sql(
      "select count(*)::int as count from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    )) as { count: number }[];
    return row?.count ?? 0;
  };
  const linesOf = (route: string): { status: number }[] =>
    service.logLines
      .map((line) => JSON.parse(line) as { route?: string; msg: string; status: number })
      .filter((line) => line.msg === 'request' && line.route === route);

  it('cost no statement, where they waited for a connection of their tenant', async () => {
    const statements = await statementsDuring(async () => {
      await owner.query('begin; lock table events in access exclusive mode');
      const sockets = Array.from({ length: 30 }, () => send('GET', '/webhooks/events'));
      await until('the share of the tenant to be used', async () => (await waiting()) === SHARE);
      for (const socket of sockets) socket.destroy();
      await delay(LEFT_MS);
      await owner.query('rollback');
      await until('the lists to end', async () => (await tenant.get('/webhooks/events')).status === 200);
    });
    // Those of the share were under way, and one is the last line's.
    expect(statements.filter((text) => /from events where/.test(text))).toHaveLength(SHARE + 1);
    expect(new Set(linesOf('/api/v1/webhooks/events').map(({ status }) => status))).toEqual(new Set([499, 200]));
    expect(service.logLines.filter((line) => line.includes('request failed'))).toEqual([]);
  });

  it('change nothing, where they left before the change began', async () => {
    const order = (await tenant.post('/orders', orderInput())).body as { id: string };
    await owner.query('begin; lock table orders in access exclusive mode');
    const notes = JSON.stringify({ notes: 'too late' });
    const sockets = Array.from({ length: 20 }, () => send('PATCH', `/orders/${order.id}`, notes));
    await until('the share of the tenant to be used', async () => (await waiting()) === SHARE);
    for (const socket of sockets) socket.destroy();
    await delay(LEFT_MS);
    await owner.query('rollback');
    await until('the requests to end', () => linesOf('/api/v1/orders/:id').length === sockets.length);
    // Each had read the order, or waited to read it; none had begun its change.
    expect(new Set(linesOf('/api/v1/orders/:id').map(({ status }) => status))).toEqual(new Set([499]));
    expect((await tenant.get(`/orders/${order.id}`)).body).toEqual(order);
  });
});

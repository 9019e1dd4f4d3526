import { Client } from 'pg';
import { StatementSpans } from '../../src/platform/database/connections/statement-spans';
import type { ApiResponse, ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

const STATUSES = ['pending', 'confirmed', 'processing', 'completed', 'cancelled'] as const;
type Status = (typeof STATUSES)[number];
/** How a new order gets to each status. */
const WAY: Record<Status, Status[]> = {
  pending: [],
  confirmed: ['confirmed'],
  processing: ['confirmed', 'processing'],
  completed: ['confirmed', 'processing', 'completed'],
  cancelled: ['cancelled'],
};
const ALLOWED = new Set([
  'pending confirmed',
  'pending cancelled',
  'confirmed processing',
  'confirmed cancelled',
  'processing completed',
  'processing cancelled',
]);

describe('changing orders', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
  async function orderIn(status: Status): Promise<any> {
    let order = await tenant.createOrder();
    for (const next of WAY[status]) order = (await tenant.patch(`/orders/${order.id}/status`, { status: next })).body;
    expect(order.status).toBe(status);
    return order;
  }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
  const historyOf = async (id: string): Promise<any[]> =>
    (await tenant.get(`/orders/${id}/events?limit=100`)).body.data;

  it.each([
    ['a new status', '/status', { status: 'confirmed' }],
    ['notes and metadata', '', { notes: 'Ring twice', metadata: { channel: 'phone' } }],
  ])('takes two round trips to PostgreSQL: %s', async (_, path, body) => {
    const { id } = await tenant.createOrder();
    const roundTrips = jest.spyOn(StatementSpans.prototype, 'around');
    try {
      expect((await tenant.patch(`/orders/${id}${path}`, body)).status).toBe(200);
      const statements = roundTrips.mock.calls.map(([sent]) => sent.map(({ name }) => name));
      const ofOrders = statements.filter((names) => names.some((name) => /^order|^joined|^commit/.test(name)));
      expect(ofOrders).toEqual([['order_read'], ['order_update', expect.stringMatching(/^joined/)]]);
    } finally {
      roundTrips.mockRestore();
    }
  });

  it('waits for a lock of another session, and lets no other write wait', async () => {
    const { id } = await tenant.createOrder();
    const other = new Client({ connectionString: service.database.ownerUrl });
    await other.connect();
    try {
      await other.query('begin');
      await other.query('select from orders where id = $1 for update', [id]);
      let answered = false;
      const change = tenant.patch(`/orders/${id}/status`, { status: 'confirmed' }).finally(() => (answered = true));
      await until('the change waits for the lock', async () => {
        const waiting = await service.database.sql(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return waiting.length === 1;
      });
      // More than there are connections for writes: one that waited would hold up some of them.
      for (let i = 0; i < 20; i++) await tenant.createOrder();
      expect(answered).toBe(false);
      await other.query('update orders set version = version + 1 where id = $1', [id]);
      await other.query('commit');
      const { status, body } = await change;
      expect([status, body.status, body.version]).toEqual([200, 'confirmed', 3]);
    } finally {
      await other.end();
    }
  });

  describe('status', () => {
    it.each(STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const)))(
      'from %s to %s',
      async (from, to) => {
        const order = await orderIn(from);
        const response = await tenant.patch(`/orders/${order.id}/status`, { status: to });
        const now = (await tenant.get(`/orders/${order.id}`)).body;
        const history = await historyOf(order.id);
        if (ALLOWED.has(`${from} ${to}`)) {
          expect(response.status).toBe(200);
          expect(response.body).toEqual({
            ...order,
            status: to,
            version: order.version + 1,
            updated_at: expect.any(String),
          });
          expect(response.body.updated_at >= order.updated_at).toBe(true);
          expect(now).toEqual(response.body);
          expect(history[0]).toMatchObject({ type: `order.${to}`, from_status: from, to_status: to });
          expect(history).toHaveLength(WAY[from].length + 2);
        } else {
          const problem = expectProblem(response, 'business_rule_violation');
          expect(problem.detail).toBe(`Cannot transition from ${from} to ${to}`);
          expect(now).toEqual(order);
          expect(history).toHaveLength(WAY[from].length + 1);
        }
      },
    );

    it('takes the five statuses and nothing else', async () => {
      const { id } = await tenant.createOrder();
      for (const status of ['open', 'Confirmed', 'CONFIRMED', ' confirmed', '', null, 1, true, ['confirmed'], {}]) {
        expect(faultsOf(await tenant.patch(`/orders/${id}/status`, { status }))).toEqual(['status: is_in']);
      }
    });

    it('lets exactly one of two racing changes win', async () => {
      const orders = await Promise.all(Array.from({ length: 25 }, () => orderIn('processing')));
      await Promise.all(
        orders.map(async ({ id }) => {
          const responses = await Promise.all(
            (['completed', 'cancelled'] as const).map((status) => tenant.patch(`/orders/${id}/status`, { status })),
          );
          const [winner, loser] = [...responses].sort((a, b) => a.status - b.status) as [ApiResponse, ApiResponse];
          expect(winner.status).toBe(200);
          const wanted = winner === responses[0] ? 'cancelled' : 'completed';
          expect(expectProblem(loser, 'business_rule_violation').detail).toBe(
            `Cannot transition from ${winner.body.status} to ${wanted}`,
          );
          expect((await tenant.get(`/orders/${id}`)).body).toEqual(winner.body);
          expect(await historyOf(id)).toHaveLength(4);
        }),
      );
    });

    it('writes both of two racing changes, where the second is possible after the first', async () => {
      await Promise.all(
        Array.from({ length: 25 }, async () => {
          const { id } = await tenant.createOrder();
          const responses = await Promise.all(
            (['confirmed', 'cancelled'] as const).map((status) => tenant.patch(`/orders/${id}/status`, { status })),
          );
          const won = responses.filter((response) => response.status === 200);
          const types = (await historyOf(id)).map((event) => event.type);
          expect((await tenant.get(`/orders/${id}`)).body).toMatchObject({
            status: 'cancelled',
            version: 1 + won.length,
          });
          if (won.length === 2) expect(types).toEqual(['order.cancelled', 'order.confirmed', 'order.created']);
          else expect(types).toEqual(['order.cancelled', 'order.created']);
        }),
      );
    });

    it('lets exactly one of ten same changes win', async () => {
      for (let round = 0; round < 10; round++) {
        const { id } = await tenant.createOrder();
        const responses = await Promise.all(
          Array.from({ length: 10 }, () => tenant.patch(`/orders/${id}/status`, { status: 'confirmed' })),
        );
        expect(responses.map((response) => response.status).sort()).toEqual([200, ...new Array(9).fill(422)]);
        for (const reply of responses.filter(({ status }) => status === 422)) {
          expect(reply.body.detail).toBe('Cannot transition from confirmed to confirmed');
        }
        expect(await historyOf(id)).toHaveLength(2);
      }
    });
  });

  describe('notes and metadata', () => {
    it('changes what is named and leaves the rest', async () => {
      const order = await tenant.createOrder({ notes: 'old', metadata: { a: '1', b: '2' } });
      const path = `/orders/${order.id}`;
      const first = (await tenant.patch(path, { notes: 'new' })).body;
      expect(first).toEqual({ ...order, notes: 'new', version: 2, updated_at: first.updated_at });
      const second = (await tenant.patch(path, { metadata: { b: null, c: '3', a: '1' } })).body;
      expect(second).toMatchObject({ notes: 'new', metadata: { a: '1', c: '3' }, version: 3 });
      expect(second.metadata).not.toHaveProperty('b');
      const third = (await tenant.patch(path, { notes: null, metadata: { a: null, c: null } })).body;
      expect(third).toMatchObject({ notes: null, metadata: {}, version: 4 });
      const got = await tenant.get(path);
      expect(got.body).toEqual(third);
      expect(got.headers.get('etag')).toBe('"4"');
      expect((await historyOf(order.id)).map((event) => [event.type, event.from_status, event.to_status])).toEqual([
        ['order.updated', 'pending', 'pending'],
        ['order.updated', 'pending', 'pending'],
        ['order.updated', 'pending', 'pending'],
        ['order.created', null, 'pending'],
      ]);
    });

    it('is a 200 without a new version where there is nothing to change', async () => {
      const order = await tenant.createOrder({ notes: 'same', metadata: { a: '1', b: '2' } });
      const changes = [
        {},
        { notes: 'same' },
        { metadata: {} },
        { metadata: { b: '2', a: '1' } },
        { metadata: { missing: null } },
      ];
      for (const change of [...changes, { notes: 'same', metadata: { a: '1', missing: null } }]) {
        const response = await tenant.patch(`/orders/${order.id}`, change);
        expect([response.status, response.body, response.headers.get('etag')]).toEqual([200, order, '"1"']);
      }
      expect(await historyOf(order.id)).toHaveLength(1);
    });

    it('refuses to change anything else', async () => {
      const order = await tenant.createOrder();
      for (const name of Object.keys(order).filter((field) => field !== 'notes' && field !== 'metadata')) {
        expect(faultsOf(await tenant.patch(`/orders/${order.id}`, { [name]: order[name] }))).toEqual([
          `${name}: unknown_field`,
        ]);
      }
      expect((await tenant.get(`/orders/${order.id}`)).body).toEqual(order);
    });

    it('changes orders in every status, also those that are done', async () => {
      for (const status of STATUSES) {
        const order = await orderIn(status);
        expect((await tenant.patch(`/orders/${order.id}`, { notes: 'later' })).body).toMatchObject({
          notes: 'later',
          status,
        });
      }
    });

    it('holds at most 50 pairs once merged', async () => {
      const pairs = (from: number, to: number, value: string | null = 'v') =>
        Object.fromEntries(Array.from({ length: to - from }, (_, i) => [`k${from + i}`, value]));
      const { id } = await tenant.createOrder({ metadata: pairs(0, 49) });
      const patch = (metadata: object) => tenant.patch(`/orders/${id}`, { metadata });
      expect((await patch(pairs(49, 50))).status).toBe(200);
      const full = (await tenant.get(`/orders/${id}`)).body;
      expect(faultsOf(await patch(pairs(50, 51)))).toEqual(['metadata: max_entries']);
      expect(faultsOf(await patch({ ...pairs(0, 1, null), ...pairs(50, 52) }))).toEqual(['metadata: max_entries']);
      expect(faultsOf(await patch(pairs(0, 51)))).toEqual(['metadata: max_entries']);
      expect((await tenant.get(`/orders/${id}`)).body).toEqual(full);
      expect((await patch({ ...pairs(0, 25, null), ...pairs(50, 75) })).status).toBe(200);
      expect(Object.keys((await tenant.get(`/orders/${id}`)).body.metadata)).toHaveLength(50);
      expect((await patch(pairs(25, 75, null))).body.metadata).toEqual({});
    });

    it('has the bounds of a new order', async () => {
      const { id } = await tenant.createOrder();
      const path = `/orders/${id}`;
      const most = { notes: 'x'.repeat(500), metadata: { ['k'.repeat(40)]: 'v'.repeat(500), empty: '' } };
      expect((await tenant.patch(path, most)).body).toMatchObject(most);
      const over = { notes: 'x'.repeat(501), metadata: { ['k'.repeat(41)]: 'v', '': null, v: 'v'.repeat(501), n: 1 } };
      expect(faultsOf(await tenant.patch(path, over))).toEqual([
        'metadata.: key_length',
        'metadata.n: is_string',
        'metadata.v: max_length',
        `metadata.${'k'.repeat(40)}…: key_length`,
        'notes: max_length',
      ].sort()); // prettier-ignore
      const odd = '{"metadata":{"__proto__":"x"}}';
      expect(faultsOf(await tenant.patch(path, odd))).toEqual(['metadata.__proto__: key']);
      expect((await tenant.patch(path, { metadata: { constructor: 'c', toString: 't' } })).body.metadata).toMatchObject(
        {
          constructor: 'c',
          toString: 't',
        },
      );
    });

    it('lets exactly one of many changes with one If-Match win', async () => {
      for (let round = 0; round < 10; round++) {
        const { id } = await tenant.createOrder();
        const responses = await Promise.all(
          Array.from({ length: 10 }, (_, i) =>
            i % 2
              ? tenant.patch(`/orders/${id}`, { notes: `note ${i}` }, { 'if-match': '"1"' })
              : tenant.patch(`/orders/${id}/status`, { status: 'confirmed' }, { 'if-match': '"1"' }),
          ),
        );
        expect(responses.map((response) => response.status).sort()).toEqual([200, ...new Array(9).fill(412)]);
        const now = (await tenant.get(`/orders/${id}`)).body;
        expect(now).toEqual(responses.find((response) => response.status === 200)?.body);
        expect(await historyOf(id)).toHaveLength(2);
      }
    });

    it('loses none of many changes without If-Match', async () => {
      const { id } = await tenant.createOrder();
      const responses = await Promise.all(
        Array.from({ length: 30 }, (_, i) => tenant.patch(`/orders/${id}`, { metadata: { [`k${i}`]: `v${i}` } })),
      );
      expect(new Set(responses.map((response) => response.body.version)).size).toBe(30);
      const now = (await tenant.get(`/orders/${id}`)).body;
      expect(now.version).toBe(31);
      expect(now.metadata).toEqual(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, `v${i}`])));
    });
  });

  describe('history', () => {
    it('lists changes with their actors, newest first', async () => {
      const order = await tenant.createOrder();
      await tenant.patch(`/orders/${order.id}/status`, { status: 'confirmed' });
      await tenant.patch(`/orders/${order.id}`, { notes: 'x' });
      const last = (await tenant.patch(`/orders/${order.id}/status`, { status: 'cancelled' })).body;
      const history = await historyOf(order.id);
      expect(history.map(({ type, from_status, to_status }) => [type, from_status, to_status])).toEqual([
        ['order.cancelled', 'confirmed', 'cancelled'],
        ['order.updated', 'confirmed', 'confirmed'],
        ['order.confirmed', 'pending', 'confirmed'],
        ['order.created', null, 'pending'],
      ]);
      for (const event of history) {
        expect(Object.keys(event).sort()).toEqual(['actor', 'created_at', 'from_status', 'id', 'to_status', 'type']);
        expect(event.actor).toEqual({ type: 'user', id: tenant.session?.user.id });
      }
      expect(history[0].created_at).toBe(last.updated_at);
      expect(history[3].created_at).toBe(order.created_at);
    });

    it('comes in pages', async () => {
      const { id } = await tenant.createOrder();
      for (let i = 0; i < 9; i++) await tenant.patch(`/orders/${id}`, { notes: `note ${i}` });
      const all = await historyOf(id);
      expect(all).toHaveLength(10);
      const paged = [];
      let path: string | undefined = `/orders/${id}/events?limit=3`;
      let pages = 0;
      while (path !== undefined) {
        const page = await tenant.get(path);
        paged.push(...page.body.data);
        pages++;
        const link = page.headers.get('link');
        expect(page.body.has_more).toBe(link !== null);
        path = link?.match(/^<\/api\/v1([^>]+)>; rel="next"$/)?.[1];
      }
      expect([paged, pages]).toEqual([all, 4]);
      expect((await tenant.get(`/orders/${id}/events`)).body.data).toEqual(all);
    });
  });
});

import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OrdersExport } from '../../src/orders/orders-export';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { type ApiClient, orderInput } from '../harness/client';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

const COLUMNS = ['id', 'customer_id', 'status', 'total_amount', 'currency', 'notes', 'metadata', 'items', 'version', 'created_at', 'updated_at']; // prettier-ignore
const MANY = 20_000;

describe('export', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    tenant = await service.tenant();
  });

  const ndjson = (text: string) => {
    expect(text === '' || text.endsWith('\n')).toBe(true);
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  };

  it('gives every order as a line of JSON, newest first, just as the API shows it', async () => {
    for (let i = 0; i < 3; i++) await tenant.createOrder({ notes: `line ${i}\nnext`, metadata: { k: '\u2028 "\\' } });
    await tenant.post('/orders/batch', { orders: Array.from({ length: 60 }, orderInput) });
    const listed = (await tenant.get('/orders?limit=100')).body.data;
    for (const path of ['/orders/export', '/orders/export?format=ndjson']) {
      const response = await tenant.get(path);
      expect(response.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
      expect(response.headers.get('content-disposition')).toBe('attachment; filename="orders.ndjson"');
      expect(ndjson(response.text)).toEqual(listed);
    }
  });

  it('gives every order as a record of RFC 4180, with a header', async () => {
    const notes = [
      'plain',
      'with, comma',
      'with "quotes"',
      'two\nlines',
      'two\r\nlines',
      '日本語, 😀',
      ' spaces ',
      ',',
      '"',
      '',
      "it's",
    ];
    for (const note of notes) await tenant.createOrder({ notes: note, metadata: { a: '1,2', 'b"': '\n' } });
    await tenant.createOrder();
    const response = await tenant.get('/orders/export?format=csv');
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="orders.csv"');
    const [header, ...records] = parseCsv(response.text);
    expect(header).toEqual(COLUMNS);
    const listed = (await tenant.get('/orders?limit=100')).body.data as Record<string, unknown>[];
    expect(records).toHaveLength(notes.length + 1);
    records.forEach((record, row) => {
      const order = listed[row] as Record<string, unknown>;
      expect(record).toHaveLength(COLUMNS.length);
      COLUMNS.forEach((column, at) => {
        const value = order[column];
        if (typeof value === 'object' && value !== null) expect(JSON.parse(record[at] as string)).toEqual(value);
        else expect(record[at]).toBe(value === null ? '' : String(value));
      });
    });
  });

  it.each([
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '\n=1',
    '=cmd|"/C calc"!A0',
    '＝1',
    '＋1',
    '－1',
    '＠x',
    '-',
    '=',
  ])('defuses a cell that begins like %j', async (notes) => {
    await tenant.createOrder({ notes, metadata: { [/^[\t\r\n]/.test(notes) ? '=k' : notes]: notes } });
    const { text } = await tenant.get('/orders/export?format=csv');
    const [, record] = parseCsv(text) as [string[], string[]];
    expect(record[5]).toBe(`'${notes}`);
    for (const cell of record) expect(cell).not.toMatch(/^[=+\-@\t\r\n＝＋－＠]/);
    // Never bare either: the quote before the apostrophe keeps the cell together.
    expect(text).toContain(`"'${notes.replaceAll('"', '""')}"`);
    expect(ndjson((await tenant.get('/orders/export')).text)[0].notes).toBe(notes);
  });

  it.each(['hello;=1+1;', 'a\t=1+1', 'a\n=1+1', 'a|=1+1'])(
    'quotes a cell with a separator in it: %j',
    async (notes) => {
      await tenant.createOrder({ notes });
      const { text } = await tenant.get('/orders/export?format=csv');
      expect(text).toContain(`,"${notes}",`);
      expect((parseCsv(text)[1] as string[])[5]).toBe(notes);
    },
  );

  it('begins with a byte order mark on request, and only in CSV', async () => {
    const order = await tenant.createOrder({ notes: 'Zoë' });
    const bytes = async (query: string) => {
      const url = `${service.url}/api/v1/orders/export?${query}`;
      const headers = { authorization: `Bearer ${tenant.session?.access_token}` };
      return Buffer.from(await (await fetch(url, { headers })).arrayBuffer());
    };
    const marked = await bytes('format=csv&bom=true');
    expect([...marked.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
    expect(marked.subarray(3).equals(await bytes('format=csv'))).toBe(true);
    expect((await bytes('format=csv&bom=false')).toString()).toMatch(/^id,/);
    expect(JSON.parse((await bytes('format=ndjson&bom=true')).toString())).toEqual(order);
    const refused = await tenant.get('/orders/export?format=csv&bom=1');
    expectProblem(refused, 'validation_error');
    expect(refused.body.errors).toMatchObject([{ field: 'bom' }]);
  });

  it('is a header alone, or nothing, where there are no orders', async () => {
    expect((await tenant.get('/orders/export?format=csv')).text).toBe(`${COLUMNS.join(',')}\r\n`);
    expect((await tenant.get('/orders/export')).text).toBe('');
    await tenant.createOrder();
    expect((await tenant.get('/orders/export?status=cancelled')).text).toBe('');
  });

  it('has the list’s filters', async () => {
    const kept = await tenant.createOrder({ currency: 'EUR' });
    await tenant.createOrder();
    for (const query of ['currency=eur', `customer_id=${kept.customer_id}`, 'status=pending&currency=EUR']) {
      expect(ndjson((await tenant.get(`/orders/export?${query}`)).text)).toEqual([kept]);
      const [, ...records] = parseCsv((await tenant.get(`/orders/export?format=csv&${query}`)).text);
      expect(records.map(([id]) => id)).toEqual([kept.id]);
    }
  });

  it('is the caller’s tenant’s alone', async () => {
    await tenant.createOrder();
    const stranger = await service.tenant();
    const theirs = await stranger.createOrder();
    expect(ndjson((await stranger.get('/orders/export')).text)).toEqual([theirs]);
  });

  describe('of many orders', () => {
    let sockets: Socket[] = [];
    let seeded: ApiClient;
    beforeAll(async () => {
      seeded = await service.tenant();
      await service.database.sql(
        `with made as (
           insert into orders (tenant_id, id, customer_id, status, total_amount, currency, notes, metadata, version, created_at, updated_at)
           select $1, (lpad(to_hex(1767225600000 + i), 12, '0') || '7000' || '8000' || lpad(to_hex(i), 12, '0'))::uuid,
                  '0198c0de-7a11-7000-8000-000000000001', 'pending', 1.00, 'USD', rpad(i || ' ', 500, 'x'), '{}', 1,
                  to_timestamp(1767225600 + i / 1000.0), to_timestamp(1767225600 + i / 1000.0)
             from generate_series(1, ${MANY}) i
           returning tenant_id, id, created_at)
         insert into order_items (tenant_id, order_id, position, id, product_id, product_name, quantity, unit_price)
         select tenant_id, id, 0, id, 'p', rpad('n', 200, 'n'), 1, 1.00 from made`,
        [seeded.tenantId],
      );
      await service.database.sql('analyze orders; analyze order_items');
    });
    beforeEach(() => {
      tenant = seeded;
    });
    afterEach(() => {
      for (const socket of sockets) socket.destroy();
      sockets = [];
    });

    /** An export that is requested and not read. */
    async function stalled(client = tenant): Promise<Socket> {
      const { hostname, port } = new URL(service.url);
      const socket = connect(Number(port), hostname);
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.pause();
      socket.write(
        `GET /api/v1/orders/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${client.session?.access_token}\r\n\r\n`,
      );
      return socket;
    }

    it.each(['ndjson', 'csv'])('gives all of them once, in order, as %s', async (format) => {
      const { text } = await tenant.get(`/orders/export?format=${format}`);
      const numbers =
        format === 'csv'
          ? parseCsv(text).slice(1).map((record) => parseInt(record[5] as string, 10))
          : ndjson(text).map((order) => parseInt(order.notes, 10)); // prettier-ignore
      expect(numbers).toEqual(Array.from({ length: MANY }, (_, i) => MANY - i));
    });

    it('reads no further than its reader does, holds no connection meanwhile, and leaves out what is made later', async () => {
      const pages = jest.spyOn(service.app.get(TenantDatabase), 'queryIsolated');
      const socket = await stalled();
      let seen = -1;
      const settled = await until('the export stalls', async () => {
        const before = seen;
        seen = pages.mock.calls.length;
        await delay(150);
        return seen > 0 && seen === before && seen;
      });
      // 200 pages in all; the read ones are those that the sockets' buffers hold.
      expect(settled).toBeLessThan(150);
      // Other work of the service may use a connection for a moment; a page of the export would hold one for good.
      await until('the export holds no connection', async () => {
        const [row] = await service.database.sql<{ busy: number }>(
          `select count(*)::int as busy from pg_stat_activity
            where datname = current_database() and usename = 'app_service' and state <> 'idle'`,
        );
        return row?.busy === 0;
      });
      pages.mockRestore();
      const later = await tenant.createOrder({ notes: 'made later' });
      const text = await readToEnd(socket);
      expect(text.endsWith('\r\n0\r\n\r\n')).toBe(true);
      expect(text.match(/"notes" ?: ?"\d+ x/g)).toHaveLength(MANY);
      expect(text).not.toContain(later.id);
      await service.database.sql('delete from orders where id = $1', [later.id]);
    });

    it('gives a tenant 4 at once, refuses the next with 429, and others are none the worse', async () => {
      for (let i = 0; i < 4; i++) await stalled();
      // Their requests are in flight: until they have their slots, the fifth would take one of theirs.
      const { slots } = service.app.get(OrdersExport) as unknown as { slots: { size: number } };
      await until('all four run', () => slots.size === 4);
      const refused = await until('the fifth is refused', async () => {
        const response = await tenant.request('GET', '/orders/export?status=cancelled');
        return response.status === 429 && response;
      });
      expectProblem(refused, 'rate_limited');
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(refused.headers.get('content-disposition')).toBeNull();
      expect((await (await service.tenant()).get('/orders/export')).status).toBe(200);
      expect((await tenant.request('HEAD', '/orders/export')).status).toBe(200);
      expect((await tenant.get('/orders?limit=1')).status).toBe(200);
      // A reader that leaves gives its place to the next.
      sockets[0]?.destroy();
      await until('a place is free', async () => (await tenant.get('/orders/export?status=cancelled')).status === 200);
      for (const socket of sockets) socket.destroy();
      const read = async () => (await tenant.get('/orders/export?status=cancelled')).status;
      await until('all places are free', async () =>
        (await Promise.all([read(), read(), read(), read()])).every((status) => status === 200),
      );
    });

    it('serves another tenant while four tenants use every slot and do not read', async () => {
      const greedy = await Promise.all([1, 2, 3, 4].map(() => service.tenant()));
      for (const { tenantId } of greedy) {
        await service.database.sql(
          `insert into orders (tenant_id, id, customer_id, status, total_amount, currency, notes, metadata, version, created_at, updated_at)
           select $1, gen_random_uuid(), gen_random_uuid(), 'pending', 1.00, 'USD', repeat('x', 200000), '{}', 1, now(), now()
             from generate_series(1, 150)`,
          [tenantId],
        );
      }
      const { slots } = service.app.get(OrdersExport) as unknown as { slots: { size: number } };
      const held = (await Promise.all(greedy.flatMap((one) => Array.from({ length: 4 }, () => stalled(one))))).flat();
      await until('every slot is taken', () => slots.size === 16);
      const other = await service.tenant();
      await other.createOrder();
      const exported = await until(
        'the slowest reader gives way',
        async () => {
          const response = await other.get('/orders/export');
          return response.status === 200 && response;
          // Until the buffers of all sockets are full, the exports read one page after another.
        },
        60_000,
      );
      expect(ndjson(exported.text)).toHaveLength(1);
      expect(slots.size).toBe(15);
      for (const socket of held) socket.destroy();
      await until('all slots are free', () => slots.size === 0);
    });

    it('does nothing for a HEAD', async () => {
      const pages = jest.spyOn(service.app.get(TenantDatabase), 'queryIsolated');
      expect((await tenant.request('HEAD', '/orders/export?format=csv')).status).toBe(200);
      await delay(50);
      expect(pages).not.toHaveBeenCalled();
      pages.mockRestore();
    });

    it('breaks, and does not end, when the database fails on the way', async () => {
      const requestId = `export-${randomUUID()}`;
      for (const format of ['ndjson', 'csv']) {
        const response = await fetch(`${service.url}/api/v1/orders/export?format=${format}`, {
          headers: { authorization: `Bearer ${tenant.session?.access_token}`, 'x-request-id': requestId },
        });
        expect(response.status).toBe(200);
        const reader = (response.body as ReadableStream<Uint8Array>).getReader();
        await reader.read();
        await service.database.sql('alter table order_items rename to order_items_away');
        const rest = async () => {
          while (!(await reader.read()).done);
        };
        await expect(rest()).rejects.toThrow();
        await service.database.sql('alter table order_items_away rename to order_items');
      }
      const failures = service.logLines.filter(
        (line) => line.includes(requestId) && line.includes('the response was interrupted'),
      );
      expect(failures.map((line) => JSON.parse(line))).toEqual(
        new Array(2).fill(expect.objectContaining({ level: 50, request_id: requestId })),
      );
      expect(ndjson((await tenant.get('/orders/export')).text)).toHaveLength(MANY);
    });

    it('breaks when its connections are cut, and the next one is whole', async () => {
      const socket = await stalled();
      await delay(200);
      let reading = true;
      const [text] = await Promise.all([
        readToEnd(socket).finally(() => (reading = false)),
        (async () => {
          while (reading) {
            await service.database.sql(
              `select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and usename = 'app_service'`,
            );
          }
        })(),
      ]);
      expect(text).toMatch(/^HTTP\/1\.1 200/);
      expect(text.endsWith('\r\n0\r\n\r\n')).toBe(false);
      const whole = await until('the service is back', async () => {
        const response = await tenant.get('/orders/export').catch(() => undefined);
        return response?.status === 200 && response;
      });
      expect(ndjson(whole.text)).toHaveLength(MANY);
    });
  });

  it('responds with a problem where it fails before the first row', async () => {
    await tenant.createOrder();
    await service.database.sql('alter table order_items rename to order_items_away');
    for (const format of ['ndjson', 'csv']) {
      const response = await tenant.get(`/orders/export?format=${format}`);
      expectProblem(response, 'internal_error');
      expect(response.headers.get('content-disposition')).toBeNull();
    }
    await service.database.sql('alter table order_items_away rename to order_items');
    expect((await tenant.get('/orders/export')).status).toBe(200);
  });
});

/** RFC 4180, to the letter: CRLF between records, quotes doubled inside of quotes, nothing else allowed. */
function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = '';
    if (text[at] === '"') {
      for (at++; ; at++) {
        const quote = text.indexOf('"', at);
        if (quote < 0) throw new Error('a quoted cell does not end');
        cell += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        cell += '"';
      }
    } else {
      const end = text.slice(at).search(/[,\r\n]/);
      if (end < 0) throw new Error('the last record does not end');
      cell = text.slice(at, at + end);
      if (cell.includes('"')) throw new Error('a quote in a bare cell');
      at += end;
    }
    record.push(cell);
    if (text[at] === ',') at++;
    else if (text.startsWith('\r\n', at)) {
      records.push(record);
      record = [];
      at += 2;
    } else throw new Error(`neither comma nor CRLF after a cell, but ${JSON.stringify(text.slice(at, at + 5))}`);
  }
  if (record.length > 0) throw new Error('the last record does not end');
  return records;
}

/** The rest that the server writes to a socket, until a whole response has arrived or the server closes. */
function readToEnd(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const finish = () => resolve(Buffer.concat(chunks).toString('utf8'));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunk.toString('latin1').endsWith('0\r\n\r\n')) finish();
    });
    socket.on('close', finish);
    socket.resume();
  });
}

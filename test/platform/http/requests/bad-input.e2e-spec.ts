import { type ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { expectProblem, faultsOf } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';

describe('bad input', () => {
  let service: TestService;
  let tenant: ApiClient;
  let orderId: string;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
    orderId = (await tenant.createOrder({ notes: 'as it was', metadata: { a: 'b' } })).id;
  });
  afterAll(() => service.stop());

  /** Nothing was created or changed, and no refusal was a failure. */
  let before: string;
  beforeEach(async () => {
    before = await everything();
  });
  const everything = async () =>
    JSON.stringify(
      await service.database.sql(
        `select (select count(*) from orders) as orders, (select count(*) from order_items) as items,
                (select count(*) from order_history) as history, (select count(*) from idempotency_keys) as keys,
                (select max(version) from orders) as version`,
      ),
    );
  const expectNothingDone = async () => {
    expect(await everything()).toBe(before);
    expect(service.logLines.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  };

  const order = (change: Record<string, unknown>) => JSON.stringify({ ...orderInput(), ...change });
  const item = (change: Record<string, unknown>) =>
    order({ items: [{ product_id: 'p', product_name: 'n', quantity: 1, unit_price: '1', ...change }] });
  /** A body with a piece of JSON in place of the text MARK. */
  const spliced = (body: string, json: string) => body.replace('"MARK"', () => json);

  describe('JSON', () => {
    const MALFORMED = [
      '{', '}', '[', ']', '"', '{"a"', '{"a":', '{"a":1', '{"a":1,}', '[1,]', '{,}', "{'a':1}", '{a:1}', 'nul', 'True',
      'undefined', 'NaN', 'Infinity', '-Infinity', '-', '+1', '.5', '1.', '01', '0x10', '1e', '1e+', '"\\x41"', '"\\u12"',
      '"a\nb"', '"\t"', '/* c */ {}', '{} // c', '{}{}', '{} x', '\ufeff{}', '[1 2]', '{"a":1 "b":2}', ' ', '\n', '\0', '{}\0',
      '{"a":1,"a":2}', '{"\\u0061":1,"a":2}', '{"__proto__":1,"__proto__":2}', '<xml/>', 'a=b', '--', '"\\',
    ]; // prettier-ignore
    it.each(MALFORMED.map((json) => [JSON.stringify(json), json]))('responds with 400 for %s', async (_, json) => {
      for (const [method, path] of [
        ['POST', '/orders'],
        ['PATCH', `/orders/${orderId}`],
        ['PATCH', `/orders/${orderId}/status`],
        ['POST', '/orders/batch'],
      ] as const) {
        expectProblem(await tenant.request(method, path, { body: json }), 'malformed_request');
      }
      for (const field of ['customer_id', 'items', 'metadata', 'currency']) {
        if (/^\s|^[\n"]/.test(json) || json === '') continue;
        const response = await tenant.post('/orders', spliced(order({ [field]: 'MARK' }), json));
        const { detail } = expectProblem(response, 'malformed_request');
        if (json.length > 2) expect(detail).not.toContain(json);
      }
      await expectNothingDone();
    });

    it('responds with 400 for what is no UTF-8', async () => {
      for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf5, 0x80, 0x80, 0x80], [0x80]]) {
        const [start, end] = order({ notes: 'MARK' }).split('MARK') as [string, string];
        const body = Buffer.concat([Buffer.from(start), Buffer.from(bytes), Buffer.from(end)]);
        expectProblem(await tenant.post('/orders', new Uint8Array(body)), 'malformed_request');
      }
      for (const encoding of ['utf16le', 'latin1'] as const) {
        const body = Buffer.from(order({ notes: 'é' }), encoding);
        expectProblem(await tenant.post('/orders', new Uint8Array(body)), 'malformed_request');
      }
      await expectNothingDone();
    });

    it('accepts JSON of 32 levels and responds with 400 for 33', async () => {
      const lists = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
      const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
      // The body itself is one level; 31 more are still parsed, and are no valid price.
      for (const json of [lists(31), objects(31)]) {
        expect(faultsOf(await tenant.post('/orders', spliced(order({ metadata: 'MARK' }), json)))).toHaveLength(1);
      }
      for (const json of [
        lists(32),
        objects(32),
        lists(1000),
        objects(1000),
        '['.repeat(100_000),
        '{"a":'.repeat(100_000),
      ]) {
        expectProblem(await tenant.post('/orders', spliced(order({ metadata: 'MARK' }), json)), 'malformed_request');
      }
      expectProblem(await tenant.post('/orders', lists(32)), 'validation_error');
      expectProblem(await tenant.post('/orders', lists(33)), 'malformed_request');
      await expectNothingDone();
    });

    it.each([
      'null',
      'true',
      '1',
      '1e5',
      '1e400',
      '"text"',
      '[]',
      '[{}]',
      '{}',
      '{"items":[]}',
      '12345678901234567890',
    ])('responds with 422 for a body of the wrong shape: %s', async (json) => {
      for (const path of ['/orders', '/orders/batch']) {
        const problem = expectProblem(await tenant.post(path, json), 'validation_error');
        expect(problem.errors?.length).toBeGreaterThan(0);
      }
      await expectNothingDone();
    });

    const WRONG = ['null', 'true', 'false', '0', '-1', '1.5', '1e5', '1e400', '123456789012345678901', '""', '"x"', '[]', '[1]', '{}', '{"a":1}', '[[]]', '[null]']; // prettier-ignore
    it.each(['customer_id', 'items', 'currency', 'notes', 'metadata', 'orders.0', 'items.0'])(
      'responds with 422 for every wrong type in %s, naming it',
      async (field) => {
        const fine: Record<string, RegExp> = {
          notes: /^(null|"")$|^"x"$/,
          metadata: /^\{\}$/,
        };
        for (const json of WRONG.filter((value) => !fine[field]?.test(value))) {
          const body = field.endsWith('.0')
            ? field === 'orders.0' ? '{"orders":["MARK"]}' : order({ items: ['MARK'] })
            : order({ [field]: 'MARK' }); // prettier-ignore
          const response = await tenant.post(field === 'orders.0' ? '/orders/batch' : '/orders', spliced(body, json));
          const faults = faultsOf(response);
          expect(faults.length).toBeGreaterThan(0);
          for (const fault of faults) expect(fault.startsWith(field)).toBe(true);
        }
        await expectNothingDone();
      },
    );

    it.each(['product_id', 'product_name', 'quantity', 'unit_price'])(
      'responds with 422 for every wrong type in items.0.%s, naming it',
      async (field) => {
        const fine: Record<string, RegExp> = { product_id: /^"x"$/, product_name: /^"x"$/, unit_price: /^1\.5$/ };
        for (const json of WRONG.filter((value) => !fine[field]?.test(value))) {
          const faults = faultsOf(await tenant.post('/orders', spliced(item({ [field]: 'MARK' }), json)));
          expect([json, faults.map((fault) => fault.split(':')[0])]).toEqual([json, [`items.0.${field}`]]);
        }
        await expectNothingDone();
      },
    );

    it('reports the faults of every field at once', async () => {
      const response = await tenant.post('/orders', {
        customer_id: 'no',
        items: [
          { product_id: '', product_name: 'x'.repeat(201), quantity: 0, unit_price: '1.00001', colour: 'red' },
          { product_id: 'x'.repeat(37), quantity: 1001, unit_price: -1 },
          null,
        ],
        currency: 'XXX',
        notes: 'x'.repeat(501),
        metadata: { '': 'x', k: 5, ok: 'ok' },
        discount: 1,
      });
      expect(faultsOf(response)).toEqual([
        'currency: currency',
        'customer_id: uuid',
        'discount: unknown_field',
        'items.0.colour: unknown_field',
        'items.0.product_id: min_length',
        'items.0.product_name: max_length',
        'items.0.quantity: min',
        'items.0.unit_price: money_digits',
        'items.1.product_id: max_length',
        'items.1.product_name: required',
        'items.1.quantity: max',
        'items.1.unit_price: money_range',
        'items.2: is_object',
        'metadata.: key_length',
        'metadata.k: is_string',
        'notes: max_length',
      ]);
    });

    it('names what is missing', async () => {
      expect(faultsOf(await tenant.post('/orders', {}))).toEqual([
        'currency: required',
        'customer_id: required',
        'items: required',
      ]);
      expect(faultsOf(await tenant.post('/orders/batch', {}))).toEqual(['orders: required']);
      expect(faultsOf(await tenant.patch(`/orders/${orderId}/status`, {}))).toEqual(['status: required']);
    });
  });

  describe('text', () => {
    const BAD_TEXT = ['\\u0000', 'a\\u0000b', '\\ud800', '\\udc00', 'a\\ud83d', '\\ude00\\ud83d', '\\ud800\\ud800'];
    const FIELDS: [string, (json: string) => Promise<ApiResponse>][] = [
      ['customer_id', (json) => tenant.post('/orders', spliced(order({ customer_id: 'MARK' }), json))],
      ['currency', (json) => tenant.post('/orders', spliced(order({ currency: 'MARK' }), json))],
      ['notes', (json) => tenant.post('/orders', spliced(order({ notes: 'MARK' }), json))],
      ['metadata.k', (json) => tenant.post('/orders', spliced(order({ metadata: { k: 'MARK' } }), json))],
      ['items.0.product_id', (json) => tenant.post('/orders', spliced(item({ product_id: 'MARK' }), json))],
      ['items.0.product_name', (json) => tenant.post('/orders', spliced(item({ product_name: 'MARK' }), json))],
      ['items.0.unit_price', (json) => tenant.post('/orders', spliced(item({ unit_price: 'MARK' }), json))],
      [
        'orders.0.notes',
        (json) => tenant.post('/orders/batch', `{"orders":[${spliced(order({ notes: 'MARK' }), json)}]}`),
      ],
      ['notes', (json) => tenant.patch(`/orders/${orderId}`, `{"notes":${json}}`)],
      ['metadata.k', (json) => tenant.patch(`/orders/${orderId}`, `{"metadata":{"k":${json}}}`)],
      ['status', (json) => tenant.patch(`/orders/${orderId}/status`, `{"status":${json}}`)],
    ];
    it.each(FIELDS)('responds with 422 for NUL and lone surrogates in %s', async (field, send) => {
      for (const text of BAD_TEXT) {
        const problem = expectProblem(await send(`"${text}"`), 'validation_error');
        expect([text, problem.errors?.map((fault) => fault.field)]).toEqual([text, [field]]);
      }
      await expectNothingDone();
    });

    it('responds with 422 for NUL and lone surrogates in names', async () => {
      for (const text of BAD_TEXT) {
        for (const body of [`{"${text}":1}`, spliced(order({ metadata: 'MARK' }), `{"${text}":"x"}`)]) {
          const response = await tenant.post('/orders', body);
          const problem = expectProblem(response, 'validation_error');
          expect(problem.errors?.length).toBe(1);
          expect(response.text).not.toMatch(/\0|\\u0000|\\ud[89a-f]/);
        }
      }
      await expectNothingDone();
    });

    it('responds with 422 for control characters, but takes lines and tabs in notes and values', async () => {
      for (const character of ['\u0001', '\u0008', '\u000b', '\u001b', '\u007f', '\u0085', '\u009f']) {
        for (const [field, send] of FIELDS) {
          if (/currency|customer|price|status/.test(field)) continue;
          expect(faultsOf(await send(JSON.stringify(`a${character}b`)))).toEqual([`${field}: text`]);
        }
        const key = await tenant.post('/orders', order({ metadata: { [`a${character}`]: 'x' } }));
        expect(faultsOf(key)).toEqual([`metadata.a${character}: text`]);
      }
      for (const character of ['\n', '\r', '\t']) {
        for (const field of ['product_id', 'product_name']) {
          expect(faultsOf(await tenant.post('/orders', item({ [field]: `a${character}b` })))).toEqual([
            `items.0.${field}: text`,
          ]);
        }
      }
      await expectNothingDone();
      const text = 'tab\tline\nreturn\r\nend';
      const made = await tenant.createOrder({ notes: text, metadata: { k: text } });
      expect((await tenant.get(`/orders/${made.id}`)).body).toMatchObject({ notes: text, metadata: { k: text } });
    });

    it('keeps every other character as it is', async () => {
      const texts = ['Ünïcödé', '日本語', '👩‍👩‍👧‍👦', '\u202eright to left', 'e\u0301', '\u00e9', '\ufeffbom', '\uffff', '𝕏', '\u2028\u2029', "Robert'); --", '<script>', '%s %d $1 \\ "quoted"', ' spaces ']; // prettier-ignore
      for (const text of texts) {
        // A name has visible characters, and no marks that change its direction.
        const name = `Widget ${text.replace(/\p{Bidi_Control}/gu, '')}`;
        const made = await tenant.createOrder({
          notes: text,
          metadata: { [text]: text },
          items: [{ product_id: text, product_name: name, quantity: 1, unit_price: '1' }],
        });
        const got = (await tenant.get(`/orders/${made.id}`)).body;
        const listed = (await tenant.get('/orders?limit=1')).body.data[0];
        for (const view of [made, got, listed]) {
          expect(view.notes).toBe(text);
          expect(view.metadata).toEqual({ [text]: text });
          expect(view.items[0]).toMatchObject({ product_id: text, product_name: name });
        }
      }
    });

    it('counts characters, not code units', async () => {
      const emoji = (count: number) => '😀'.repeat(count);
      const fits = {
        notes: emoji(500),
        metadata: { [emoji(40)]: emoji(500) },
        items: [{ product_id: emoji(36), product_name: emoji(200), quantity: 1, unit_price: '1' }],
      };
      const made = await tenant.createOrder(fits);
      expect((await tenant.get(`/orders/${made.id}`)).body).toMatchObject({
        notes: fits.notes,
        metadata: fits.metadata,
      });
      const over = {
        notes: emoji(501),
        metadata: { [emoji(41)]: 'x', v: emoji(501) },
        items: [{ product_id: emoji(37), product_name: emoji(201), quantity: 1, unit_price: '1' }],
      };
      expect(faultsOf(await tenant.post('/orders', { ...orderInput(), ...over }))).toEqual(
        [
          'items.0.product_id: max_length',
          'items.0.product_name: max_length',
          'metadata.v: max_length',
          `metadata.${emoji(40)}…: key_length`,
          'notes: max_length',
        ].sort(),
      );
      // Variation selectors are characters too, however many follow each other.
      expect(faultsOf(await tenant.post('/orders', order({ notes: 'a\ufe0f'.repeat(251) })))).toEqual([
        'notes: max_length',
      ]);
    });
  });

  describe('in the address', () => {
    it('responds with 422 for bad values of parameters, naming each', async () => {
      const bad: Record<string, string[]> = {
        limit: ['0', '101', '-1', '1.5', '1e1', 'x', '', '%00', '1%00', '99999999999999999999', '0x10', '+5', ' 5', '%D9%A5'],
        status: ['open', 'PENDING', '', '%00', 'pending%00', '%zz', '%ff'],
        customer_id: ['x', '', '%00', '%ff', '0198c0de7a1170008000000000000001', '{0198c0de-7a11-7000-8000-000000000001}'],
        currency: ['US', 'USDD', 'XXX', 'U5D', '', '%00SD', 'u%C5%BFd', '%ff'],
        created_after: ['yesterday', '2026-01-31', '2026-01-31T12:00:00', '2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-01T25:00:00Z', 'infinity', '-infinity', 'now', '', '1769860800', '2026-01-31T12:00:00%2b24:00', '2026-01-31T12:00:00Z%00'],
        created_before: ['2026-01-31T12:00:60Z', '02026-01-31T12:00:00Z', '2026-01-31T12:00Z', 'NaN', '2026-1-31T12:00:00Z', '%EF%BC%92026-01-31T12:00:00Z'],
      }; // prettier-ignore
      for (const [name, values] of Object.entries(bad)) {
        for (const value of values) {
          for (const path of name === 'limit'
            ? ['/orders', `/orders/${orderId}/events`]
            : ['/orders', '/orders/export']) {
            const faults = faultsOf(await tenant.get(`${path}?${name}=${value}`));
            expect([value, faults.map((fault) => fault.split(':')[0])]).toEqual([value, [name]]);
          }
        }
      }
      expect(faultsOf(await tenant.get('/orders/export?format=xml'))).toEqual(['format: is_in']);
      expect(faultsOf(await tenant.get('/orders/export?limit=5&cursor=x'))).toEqual([
        'cursor: unknown_field',
        'limit: unknown_field',
      ]);
    });

    it('responds with 422 for a parameter that occurs twice', async () => {
      const good = {
        limit: '5',
        status: 'pending',
        currency: 'USD',
        created_after: '2026-01-31T12:00:00Z',
        cursor: 'x',
      };
      for (const [name, value] of Object.entries(good)) {
        const faults = faultsOf(await tenant.get(`/orders?${name}=${value}&${name}=${value}`));
        expect(faults.map((fault) => fault.split(':')[0])).toEqual([name]);
      }
      expect(faultsOf(await tenant.get('/orders?limit[]=5&limit[a]=1&limit=5'))).toHaveLength(2);
    });

    it('takes times of RFC 3339 in every spelling', async () => {
      for (const time of [
        '2026-01-31T12:00:00Z',
        '2026-01-31t12:00:00z',
        '2026-01-31T12:00:00.123456789Z',
        '2026-01-31T12:00:00.1%2B05:30',
        '2026-01-31 12:00:00-00:00',
        '0001-01-01T00:00:00Z',
        '9999-12-31T23:59:59.999Z',
        '2024-02-29T00:00:00Z',
      ]) {
        // prettier-ignore
        for (const name of ['created_after', 'created_before']) {
          expect([time, (await tenant.get(`/orders?${name}=${time}`)).status]).toEqual([time, 200]);
        }
      }
    });
  });
});

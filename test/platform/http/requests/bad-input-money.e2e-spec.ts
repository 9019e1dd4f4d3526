import { type ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { faultsOf } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';

describe('money', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  /** An order of one item with this piece of JSON as its price. */
  function priced(json: string, currency = 'USD', quantity = 1): Promise<ApiResponse> {
    const items = [{ product_id: 'p', product_name: 'n', quantity, unit_price: 'MARK' }];
    return tenant.post(
      '/orders',
      JSON.stringify({ ...orderInput(), currency, items }).replace('"MARK"', () => json),
    );
  }

  it.each([
    // the input, the currency, the result
    ['"29.99"', 'USD', '29.99'],
    ['29.99', 'USD', '29.99'],
    ['"29.9"', 'USD', '29.90'],
    ['"29"', 'USD', '29.00'],
    ['29', 'USD', '29.00'],
    ['29.990', 'USD', '29.99'],
    ['29.0', 'USD', '29.00'],
    ['0.01', 'USD', '0.01'],
    ['"0.01"', 'USD', '0.01'],
    ['0.1', 'USD', '0.10'],
    ['"999999999999.99"', 'USD', '999999999999.99'],
    ['999999999999.99', 'USD', '999999999999.99'],
    ['999999999999', 'USD', '999999999999.00'],
    ['4.35', 'USD', '4.35'],
    ['1.005', 'KWD', '1.005'],
    ['8.2', 'EUR', '8.20'],
    ['1', 'JPY', '1'],
    ['"1"', 'JPY', '1'],
    ['1.0', 'JPY', '1'],
    ['999999999999', 'JPY', '999999999999'],
    ['"0.001"', 'KWD', '0.001'],
    ['999999999999.999', 'KWD', '999999999999.999'],
    ['"1.5"', 'KWD', '1.500'],
    ['"0.0001"', 'CLF', '0.0001'],
  ])('accepts %s %s and returns "%s" everywhere', async (json, currency, price) => {
    const made = await priced(json, currency);
    expect([made.status, made.text.slice(0, 300)]).toEqual([201, expect.any(String)]);
    const got = (await tenant.get(`/orders/${made.body.id}`)).body;
    const listed = (await tenant.get('/orders?limit=1')).body.data[0];
    const patched = (await tenant.patch(`/orders/${made.body.id}`, { notes: 'x' })).body;
    const exported = JSON.parse((await tenant.get('/orders/export')).text.split('\n')[0] as string);
    for (const view of [made.body, got, listed, patched, exported]) {
      expect([view.total_amount, view.items[0].unit_price, view.currency]).toEqual([price, price, currency]);
    }
  });

  it.each(
    [
      // too many digits after the point
      ['"1.000"', 'USD', 'money_digits'],
      ['"29.990"', 'USD', 'money_digits'],
      ['29.999', 'USD', 'money_digits'],
      ['0.001', 'USD', 'money_digits'],
      ['0.0000001', 'USD', 'money_digits'],
      ['"1.0"', 'JPY', 'money_digits'],
      ['1.5', 'JPY', 'money_digits'],
      ['"0.0001"', 'KWD', 'money_digits'],
      // more significant digits than a number keeps
      ['1234567890.123456', 'USD', 'money_precision'],
      ['0.1234567890123456', 'USD', 'money_precision'],
      ['1.0000000000000001', 'USD', 'money_precision'],
      ['29.990000000000002', 'USD', 'money_precision'],
      ['1000000000.000000', 'USD', 'money_precision'],
      ['1234567890123456', 'JPY', 'money_precision'],
      ['9007199254740993', 'JPY', 'money_precision'],
      ['1'.repeat(40), 'USD', 'money_precision'],
      [`0.${'1'.repeat(40)}`, 'USD', 'money_precision'],
      // exponents
      ['1e2', 'USD', 'money_format'],
      ['1E2', 'USD', 'money_format'],
      ['1e0', 'USD', 'money_format'],
      ['1.5e1', 'USD', 'money_format'],
      ['100e-2', 'USD', 'money_format'],
      ['1E400', 'USD', 'money_format'],
      ['1e-400', 'USD', 'money_format'],
      ['-1e400', 'USD', 'money_format'],
      ['"1e2"', 'USD', 'money_format'],
      ['"1E+2"', 'USD', 'money_format'],
      // 10^12 and above
      ['1000000000000', 'USD', 'money_range'],
      ['"1000000000000"', 'USD', 'money_range'],
      ['"1000000000000.00"', 'USD', 'money_range'],
      ['100000000000000', 'JPY', 'money_range'],
      [`"${'9'.repeat(40)}"`, 'USD', 'money_range'],
      // less than one minor unit
      ['0', 'USD', 'min'],
      ['0.0', 'USD', 'min'],
      ['"0"', 'USD', 'min'],
      ['"0.00"', 'USD', 'min'],
      ['"0"', 'JPY', 'min'],
      ['-0', 'USD', 'money_range'],
      ['-0.0', 'USD', 'money_range'],
      ['"-0"', 'USD', 'money_range'],
      ['-1', 'USD', 'money_range'],
      ['"-29.99"', 'USD', 'money_range'],
      // no decimals at all
      ['"NaN"', 'USD', 'money_format'],
      ['"Infinity"', 'USD', 'money_format'],
      ['"+1"', 'USD', 'money_format'],
      ['"01"', 'USD', 'money_format'],
      ['"00.50"', 'USD', 'money_format'],
      ['"1."', 'USD', 'money_format'],
      ['".5"', 'USD', 'money_format'],
      ['"1,000"', 'USD', 'money_format'],
      ['"1.0.0"', 'USD', 'money_format'],
      ['" 1"', 'USD', 'money_format'],
      ['"1 "', 'USD', 'money_format'],
      ['"1\\n"', 'USD', 'money_format'],
      ['"$1"', 'USD', 'money_format'],
      ['"0x1"', 'USD', 'money_format'],
      ['"1_000"', 'USD', 'money_format'],
      ['"١"', 'USD', 'money_format'],
      ['"１"', 'USD', 'money_format'],
      ['"1n"', 'USD', 'money_format'],
      ['""', 'USD', 'money_format'],
      [`"1${' '.repeat(100_000)}"`, 'USD', 'money_format'],
      [`"0.${'0'.repeat(500_000)}1"`, 'USD', 'money_format'],
      ['null', 'USD', 'money_format'],
      ['true', 'USD', 'money_format'],
      ['["1"]', 'USD', 'money_format'],
      ['{"source":"1"}', 'USD', 'money_format'],
    ].map(([json = '', currency = '', code = '']) => [json.slice(0, 60), currency, code, json]),
  )('refuses %s %s: %s', async (_, currency, code, json) => {
    expect(faultsOf(await priced(json, currency))).toEqual([`items.0.unit_price: ${code}`]);
    const batch = JSON.stringify({
        orders: [orderInput(), { ...orderInput(), currency, items: [{ product_id: 'p', product_name: 'n', quantity: 1, unit_price: 'MARK' }] }],
      }).replace('"MARK"', () => json); // prettier-ignore
    expect(faultsOf(await tenant.post('/orders/batch', batch))).toEqual([`orders.1.items.0.unit_price: ${code}`]);
  });

  it('refuses tokens that are no JSON', async () => {
    for (const json of ['NaN', 'Infinity', '-Infinity', '01', '1.', '.5', '+1', '1_000', '0x1', '1n']) {
      expect([json, (await priced(json)).status]).toEqual([json, 400]);
    }
  });

  it('refuses quantities that are no whole number in plain digits', async () => {
    const codes: Record<string, string> = {
      '1.5': 'is_int', '"1"': 'is_int', '1e400': 'is_int', '1e1': 'is_int', '12345678901234567890': 'is_int',
      '-1': 'min', '0': 'min', '-0': 'min', '1001': 'max', '999999999999999': 'max',
    }; // prettier-ignore
    for (const [json, code] of Object.entries(codes)) {
      const body = JSON.stringify(orderInput()).replace('"quantity":2', `"quantity":${json}`);
      expect([json, faultsOf(await tenant.post('/orders', body))]).toEqual([json, [`items.0.quantity: ${code}`]]);
    }
    const body = JSON.stringify(orderInput()).replace('"quantity":2', '"quantity":2.0');
    expect((await tenant.post('/orders', body)).body.items[0].quantity).toBe(2);
  });

  it.each(['JPY', 'USD', 'KWD', 'CLF'])('adds up exactly, for any lines in %s', async (currency) => {
    const digits = { JPY: 0, USD: 2, KWD: 3, CLF: 4 }[currency] as number;
    const random = generator(`total ${currency}`);
    const decimal = (minor: bigint) => {
      const text = minor.toString().padStart(digits + 1, '0');
      return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
    };
    for (let round = 0; round < 40; round++) {
      const lines = Array.from({ length: 1 + (random() % 50) }, () => {
        const size = 1 + (random() % (12 + digits));
        const minor = BigInt(Array.from({ length: size }, () => random() % 10).join('')) || 1n;
        return { quantity: 1 + (random() % 1000), minor };
      });
      const items = lines.map(({ quantity, minor }) => {
        const text = decimal(minor);
        // Every other price is sent as a number, if a number can hold it.
        const asNumber = random() % 2 === 0 && text.replace('.', '').replace(/^0+/, '').length <= 15;
        return { product_id: 'p', product_name: 'n', quantity, unit_price: asNumber ? Number(text) : text };
      });
      const total = decimal(lines.reduce((sum, line) => sum + BigInt(line.quantity) * line.minor, 0n));
      const made = await tenant.post('/orders', { ...orderInput(), currency, items });
      expect([made.status, made.body.total_amount]).toEqual([201, total]);
      expect(made.body.items.map((item: { unit_price: string }) => item.unit_price)).toEqual(
        lines.map((line) => decimal(line.minor)),
      );
      const got = (await tenant.get(`/orders/${made.body.id}`)).body;
      expect(got).toEqual(made.body);
    }
  });

  it('holds the largest order there can be', async () => {
    const items = new Array(50).fill({
      product_id: 'p',
      product_name: 'n',
      quantity: 1000,
      unit_price: '999999999999.9999',
    });
    const made = await tenant.createOrder({ currency: 'CLF', items });
    expect(made.total_amount).toBe('49999999999999995.0000');
    expect((await tenant.get(`/orders/${made.id}`)).body.total_amount).toBe('49999999999999995.0000');
  });

  it('returns a price in every currency with its own digits', async () => {
    const expected = {
      BHD: '1.000',
      CLP: '1',
      EUR: '1.00',
      GBP: '1.00',
      ISK: '1',
      IQD: '1.000',
      UYW: '1.0000',
      XOF: '1',
    };
    for (const [currency, price] of Object.entries(expected)) {
      expect([currency, (await priced('1', currency)).body.total_amount]).toEqual([currency, price]);
    }
  });
});

/** Repeatable numbers from a text (mulberry32). */
function generator(seed: string): () => number {
  let state = [...seed].reduce((hash, char) => (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0, 7);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

import { orderInput } from '../../../harness/client';
import { expectProblem } from '../../../harness/problems';
import { newEmail, startService, type TestService } from '../../../harness/service';

const INVISIBLE = {
  blanks: '   ',
  'a no-break space': '\u00a0',
  'a zero width space': '\u200b',
  'a word joiner': '\u2060',
  'a Hangul filler': '\u3164',
  'a half-width Hangul filler': '\uffa0',
  'a soft hyphen': '\u00ad',
  'a variation selector': '\ufe0f',
  'a tag character': '\u{e0041}',
  'a blank pattern of Braille': '\u2800',
  'a lone combining mark': '\u0301',
};
const BIDI = {
  'an override': 'Acme \u202etxt.exe',
  'an embedding': '\u202aAcme\u202c',
  'an isolate': 'Acme\u2067x\u2069',
  'a right-to-left mark': 'Acme\u200f',
  'an Arabic letter mark': '\u061cAcme',
};
const NAMES = ['Acme', 'Ⅳ', '株式会社', 'שלום', 'مرحبا', '🏭', 'e\u0301', 'A\u00a0B', '👩\u200d🔧', 'क्\u200dष', '!'];

describe('names', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  const register = (change: Record<string, unknown>) =>
    service.client.post('/auth/register', {
      email: newEmail(),
      password: 'a password for tests',
      name: 'Ada',
      tenant_name: 'Acme',
      ...change,
    });

  it.each(Object.entries({ ...INVISIBLE, ...BIDI }))('of %s are refused in every field', async (_, name) => {
    const registration = expectProblem(await register({ name, tenant_name: name }), 'validation_error');
    expect(registration.errors?.map(({ field, code }) => [field, code]).sort()).toEqual([
      ['name', 'name'],
      ['tenant_name', 'name'],
    ]);
    const tenant = await service.tenant();
    const items = [{ product_id: 'p', product_name: name, quantity: 1, unit_price: '1' }];
    const order = expectProblem(await tenant.post('/orders', { ...orderInput(), items }), 'validation_error');
    expect(order.errors).toEqual([expect.objectContaining({ field: 'items.0.product_name', code: 'name' })]);
  });

  it.each(NAMES)('such as %j are taken', async (name) => {
    expect((await register({ name, tenant_name: name })).status).toBe(201);
  });
});

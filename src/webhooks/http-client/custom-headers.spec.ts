import fc from 'fast-check';
import { isReservedHeader, validateEndpointHeaders } from './custom-headers';

const codes = (value: unknown) => validateEndpointHeaders(value).map(({ field, code }) => `${field} ${code}`);

describe('endpoint headers', () => {
  it.each([
    [{}],
    [{ Authorization: 'Bearer abc.def', 'X-Team': 'billing & co', Cookie: 'a=b; c="d"', 'x-empty': '' }],
    [{ "!#$%&'*+-.^_`|~09azAZ": 'odd but a token' }],
    [{ ['x'.repeat(128)]: 'v'.repeat(1_024) }],
    [Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`x-${n}`, 'v']))],
    [{ 'x-webhook-id': 'only the prefix is ours', hostname: 'h', toString: 't' }],
  ])('accepts %j', (headers) => expect(validateEndpointHeaders(headers)).toEqual([]));

  it.each([null, undefined, [], ['a', 'b'], 'a: b', 7, true])('refuses %j as a whole', (value) =>
    expect(codes(value)).toEqual(['headers type']),
  );

  it.each([
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'Trailer',
    'Expect',
    'Connection',
    'Keep-Alive',
    'TE',
    'Upgrade',
    'HTTP2-Settings',
    'Proxy-Authorization',
    'Proxy-Connection',
    'proxy-',
    'Content-Type',
    'Content-Encoding',
    'User-Agent',
    'Webhook-Id',
    'webhook-signature',
    'WEBHOOK-TIMESTAMP',
    'webhook-anything',
    'webhook-',
  ])('reserves %s in any case', (name) => {
    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
      expect(codes({ [spelling]: 'v' })).toEqual([`headers.${spelling} reserved`]);
      expect(isReservedHeader(spelling)).toBe(true);
    }
  });

  it('reserves __proto__, which JSON can name', () => {
    expect(codes(JSON.parse('{"__proto__": "v"}'))).toEqual(['headers.__proto__ reserved']);
  });

  it.each([
    '',
    ' ',
    'a b',
    'a:',
    ':a',
    'a\r\nb',
    'a\0',
    'a\t',
    'ä',
    'a(',
    'a/b',
    'a"',
    'Host ',
    ' Host',
    'host:',
    'a\u2028',
    'Ｈost',
  ])('refuses the name %j', (name) => {
    expect(codes({ [name]: 'v' })).toEqual([`headers.${name} format`]);
  });

  it.each([
    'a\r\nwebhook-id: forged',
    'a\nb',
    'a\rb',
    'a\0b',
    '\x01',
    '\x7f',
    'a\tb',
    'ü',
    '\u2028',
    '\u{1f680}',
    '\x85',
    ' a',
    'a ',
    ' ',
    '\ud800',
    'a\u010ab',
  ])('refuses the value %j', (value) => expect(codes({ 'x-a': value })).toEqual(['headers.x-a format']));

  it.each([1, null, true, {}, ['a']])('refuses the value %j', (value) =>
    expect(codes({ 'x-a': value })).toEqual(['headers.x-a type']),
  );

  it('reports every fault at once', () => {
    expect(codes({ Host: 'a\n', 'x-A': 'v', 'X-a': 5, 'a b': 'v' })).toEqual([
      'headers.Host reserved',
      'headers.Host format',
      'headers.X-a duplicate',
      'headers.X-a type',
      'headers.a b format',
    ]);
  });

  it('keeps to its lengths, and to a short message for a long list', () => {
    const long = 'x'.repeat(129);
    expect(codes({ [long]: 'v'.repeat(1_025) })).toEqual([
      `headers.${'x'.repeat(128)}… max_length`,
      `headers.${'x'.repeat(128)}… max_length`,
    ]);
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`bad name ${n}`, 'v']));
    expect(codes(many)[0]).toBe('headers max_entries');
    expect(codes(many)).toHaveLength(22);
  });

  it('lets nothing through that could break out of its line', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { maxKeys: 3 }),
        (headers) => {
          if (validateEndpointHeaders(headers).length > 0) return;
          for (const [name, value] of Object.entries(headers))
            expect(`${name}: ${value}`).toMatch(/^[\x21-\x39\x3b-\x7e]+: [\x20-\x7e]*$/);
        },
      ),
      { numRuns: 500 },
    );
  });
});

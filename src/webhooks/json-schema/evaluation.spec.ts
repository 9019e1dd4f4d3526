import { Ajv2020 } from 'ajv/dist/2020';
import * as fc from 'fast-check';
import { dataFaults } from './evaluation';
import { schemaFaults, type SchemaObject } from './validator';

/** Faults as `place: code`, of a schema that may be registered. */
function faultsOf(schema: SchemaObject, data: unknown): string[] {
  expect(schemaFaults(schema)).toEqual([]);
  return dataFaults(schema, data).map(({ field, code }) => `${field}: ${code}`);
}

describe('a schema', () => {
  const INVOICE = {
    type: 'object',
    required: ['number', 'lines'],
    additionalProperties: false,
    properties: {
      number: { type: 'string', minLength: 1, maxLength: 8 },
      due: { anyOf: [{ type: 'string', format: 'date' }, { type: 'null' }] },
      lines: { type: 'array', minItems: 1, items: { $ref: '#/$defs/line' } },
      payment: { oneOf: [{ $ref: '#/$defs/card' }, { $ref: '#/$defs/transfer' }] },
    },
    $defs: {
      line: { type: 'object', required: ['amount'], properties: { amount: { type: 'number', multipleOf: 0.01 } } },
      card: { type: 'object', required: ['last4'], properties: { kind: { const: 'card' } } },
      transfer: { type: 'object', required: ['iban'], properties: { kind: { const: 'transfer' } } },
    },
  };

  it.each<[string, unknown, string[]]>([
    ['what fits', { number: 'A-1', due: null, lines: [{ amount: 19.99 }], payment: { kind: 'card', last4: '1' } }, []],
    ['no object', [], ['data: type']],
    [
      'faults everywhere, each at its place',
      { number: '', due: '2026-02-30', lines: [{ amount: 0.001 }, {}, 1], colour: 'red' },
      [
        'data.colour: not_allowed',
        'data.number: min_length',
        'data.due: format',
        'data.lines.0.amount: multiple_of',
        'data.lines.1.amount: required',
        'data.lines.2: type',
      ],
    ],
    ['what is missing', {}, ['data.number: required', 'data.lines: required']],
    ['none of two forms', { number: '1', lines: [{ amount: 1 }], payment: {} }, ['data.payment: one_of']],
    [
      'both of two forms',
      { number: '1', lines: [{ amount: 1 }], payment: { last4: '', iban: '' } },
      ['data.payment: one_of'],
    ],
    [
      'keys of JavaScript',
      { number: '1', lines: [{ amount: 1 }], constructor: 1, toString: 1 },
      ['data.constructor: not_allowed', 'data.toString: not_allowed'],
    ],
  ])('reports %s', (_, data, faults) => {
    expect(faultsOf(INVOICE, data)).toEqual(faults);
  });

  it('reports faults in plain words', () => {
    const schema = {
      properties: {
        a: { type: ['integer', 'null'] },
        b: { enum: ['x', 2, { y: [true] }] },
        c: { const: 'long'.repeat(100) },
        d: { maximum: 5 },
        e: { dependentRequired: { f: ['g'] } },
      },
    };
    expect(dataFaults(schema, { a: 'x', b: 'y', c: 1, d: 6, e: { f: 1 } }).map(({ message }) => message)).toEqual([
      'must be a whole number, or null',
      'must be one of "x", 2, {"y":[true]}',
      `must be ${`"${'long'.repeat(100)}`.slice(0, 200)}…`,
      'must be at most 5',
      'is required beside f',
    ]);
  });

  it('finds `__proto__` where it is a key, and nothing of it where it is none', () => {
    const schema = JSON.parse(
      '{"properties":{"__proto__":{"type":"integer"}},"required":["__proto__"]}',
    ) as SchemaObject;
    expect(faultsOf(schema, JSON.parse('{"__proto__":1}'))).toEqual([]);
    expect(faultsOf(schema, JSON.parse('{"__proto__":"x"}'))).toEqual(['data.__proto__: type']);
    expect(faultsOf(schema, {})).toEqual(['data.__proto__: required']);
    expect(faultsOf({ required: ['toString'], properties: { toString: false } }, {})).toEqual([
      'data.toString: required',
    ]);
  });

  it('counts characters, not UTF-16 units, and compares numbers as decimals', () => {
    expect(faultsOf({ maxLength: 2, minLength: 2 }, '😀😀')).toEqual([]);
    expect(faultsOf({ minLength: 3 }, '😀😀')).toEqual(['data: min_length']);
    for (const [number, divisor] of [[0.3, 0.1], [1e308, 1e-8], [19.99, 0.01], [-4.5, 1.5], [0, 3], [5e-324, 5e-324]] as const) {
      expect([number, divisor, faultsOf({ multipleOf: divisor }, number)]).toEqual([number, divisor, []]);
    }
    for (const [number, divisor] of [[0.35, 0.1], [1e308, 0.123456789], [9007199254740993.0, 3.5]] as const) {
      expect([number, divisor, faultsOf({ multipleOf: divisor }, number)]).toEqual([number, divisor, ['data: multiple_of']]);
    }
  }); // prettier-ignore

  it.each<[string, string[], string[]]>([
    ['date', ['2024-02-29', '0000-01-31', '2000-02-29'], ['2023-02-29', '1900-02-29', '2024-13-01', '2024-1-1', '2024-00-01', '٢٠٢٤-01-01']],
    ['time', ['12:00:00Z', '23:59:60Z', '15:59:60-08:00', '00:29:60.5+00:30', '12:00:00.123456789z'], ['12:00:00', '24:00:00Z', '12:00:60Z', '12:00:00+24:00', '12:00Z']],
    ['date-time', ['2026-01-31T12:00:00.000Z', '2026-01-31t12:00:00z'], ['2026-01-31 12:00:00Z', '2026-01-31', '2026-02-30T12:00:00Z', 'T12:00:00Z']],
    ['email', ['a@example.com'], ['a', 'a@b', 'a..b@example.com', `${'a'.repeat(250)}@example.com`]],
    ['hostname', ['example.com', 'a', 'xn--p1ai.a-b'], ['', 'a..b', '-a', 'a-', 'a_b', `${'a'.repeat(64)}.b`, 'a.']],
    ['ipv4', ['127.0.0.1'], ['127.1', '256.0.0.1', '01.2.3.4']],
    ['ipv6', ['::1', '::ffff:1.2.3.4'], ['1.2.3.4', 'fe80::1%eth0', ':::', '12345::']],
    ['uri', ['https://example.com/a?b=%20#c', 'urn:isbn:1', 'mailto:a@b'], ['/a', 'a b:c', 'https://a/%zz', 'https://a/{b}', `a:${'b'.repeat(2047)}`]],
    ['uuid', ['0198c0de-7a11-7000-8000-000000000031', '0198C0DE-7A11-7000-8000-00000000003F'], ['0198c0de7a1170008000000000000031', '{0198c0de-7a11-7000-8000-000000000031}']],
  ])('checks the format %s', (format, right, wrong) => {
    for (const text of right) expect([text, faultsOf({ format }, text)]).toEqual([text, []]);
    for (const text of wrong) expect([text, faultsOf({ format }, text)]).toEqual([text, ['data: format']]);
    expect(faultsOf({ format }, 5)).toEqual([]);
  }); // prettier-ignore

  it('agrees with Ajv', () => {
    const ajv = new Ajv2020({ strict: false, validateSchema: false, multipleOfPrecision: 9 });
    let [fitting, refused] = [0, 0];
    fc.assert(
      fc.property(schemas, fc.array(values, { minLength: 20, maxLength: 20 }), (schema, data) => {
        fc.pre(schemaFaults(schema).length === 0);
        const validate = ajv.compile(schema);
        for (const value of data) {
          const [ours, theirs] = [dataFaults(schema, value), validate(value)];
          if (theirs) fitting++;
          else refused++;
          expect([value, ours.length === 0]).toEqual([value, theirs]);
        }
      }),
      { seed: Number(process.env.FUZZ_SEED ?? 20261128), numRuns: Number(process.env.FUZZ_RUNS ?? 400) },
    );
    // The comparison is meaningful only if both results are frequent.
    expect(Math.min(fitting, refused)).toBeGreaterThan(1000);
  });
});

const keys = fc.constantFrom('a', 'b', 'c');
const numbers = fc.constantFrom(-1, 0, 0.5, 1, 2, 3, 4.5);
const counts = fc.integer({ min: 0, max: 3 });
const types = fc.constantFrom('null', 'boolean', 'integer', 'number', 'string', 'array', 'object');

const { value: values } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'value' },
    fc.oneof(fc.constantFrom(null, true, false), numbers, fc.constantFrom('', 'a', 'ab', '😀', '😀bc')),
    fc.array(tie('value'), { maxLength: 4, depthIdentifier: 'value' }),
    fc.dictionary(keys, tie('value'), { maxKeys: 3, noNullPrototype: true, depthIdentifier: 'value' }),
  ),
}));

const { schema: parts } = fc.letrec<{ schema: SchemaObject | boolean }>((tie) => {
  const part = tie('schema');
  const list = fc.array(part, { minLength: 1, maxLength: 3 });
  const map = fc.dictionary(keys, part, { maxKeys: 3, noNullPrototype: true });
  const names = fc.uniqueArray(keys, { maxLength: 2 });
  const below = {
    additionalProperties: part, propertyNames: part, items: part, not: part, if: part, then: part, else: part,
    allOf: list, anyOf: list, oneOf: list, prefixItems: list, properties: map, dependentSchemas: map,
  }; // prettier-ignore
  const plain = {
    type: fc.oneof(types, fc.uniqueArray(types, { minLength: 1, maxLength: 3 })),
    enum: fc.array(values, { minLength: 1, maxLength: 3 }), const: values,
    minimum: numbers, maximum: numbers, exclusiveMinimum: numbers, exclusiveMaximum: numbers,
    multipleOf: fc.constantFrom(0.5, 1, 1.5, 2), minLength: counts, maxLength: counts, minItems: counts, maxItems: counts,
    uniqueItems: fc.boolean(), minProperties: counts, maxProperties: counts, required: names,
    dependentRequired: fc.dictionary(keys, names, { maxKeys: 2, noNullPrototype: true }),
    $ref: fc.constantFrom('#/$defs/x', '#/$defs/y', '#'),
  }; // prettier-ignore
  const some = (keywords: Record<string, fc.Arbitrary<unknown>>, most: number) =>
    fc.subarray(Object.keys(keywords), { minLength: 1, maxLength: most }).chain((chosen) =>
      fc.record(Object.fromEntries(chosen.map((name) => [name, keywords[name] as fc.Arbitrary<unknown>])), {
        noNullPrototype: true,
      }),
    );
  const counted = fc.record(
    { contains: part, minContains: counts, maxContains: counts },
    { requiredKeys: ['contains'], noNullPrototype: true },
  );
  return {
    schema: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      some(plain, 2),
      fc.boolean(),
      some(below, 2),
      fc.tuple(some(below, 2), some(plain, 1)).map(([a, b]) => ({ ...a, ...b })),
      counted,
    ),
  };
});
const objects = parts.filter((part): part is SchemaObject => typeof part === 'object');
const schemas = fc.tuple(objects, parts, parts).map(([schema, x, y]): SchemaObject => ({ ...schema, $defs: { x, y } }));

/** Schemas of an attacker. Without bounds each takes seconds or forever; with them, tens of milliseconds. */
describe('a schema that is meant to cost much', () => {
  const KIB_256 = 256 * 1024;
  const ones = Array(KIB_256 / 2 - 100).fill(1);
  const manyKeys = Object.fromEntries(Array.from({ length: 22_000 }, (_, at) => [`k${at}`, 1]));
  const long = 'a'.repeat(KIB_256 - 100);
  const times = <T>(count: number, entry: T): T[] => Array(count).fill(entry);
  const at = (schema: unknown) => ({ properties: { x: schema } });
  /** Definitions of which each refers to the next many times over. */
  function tower(combine: (next: unknown) => SchemaObject, top: unknown, levels = 5): SchemaObject {
    const $defs: Record<string, unknown> = { [levels]: top };
    for (let level = levels - 1; level >= 0; level--) $defs[level] = combine({ $ref: `#/$defs/${level + 1}` });
    return { $ref: '#/$defs/0', $defs };
  }
  const nested = (depth: number, inner: unknown): unknown => (depth === 0 ? inner : [nested(depth - 1, inner)]);
  const deep = (depth: number): unknown => (depth === 0 ? 1 : { a: deep(depth - 1) });

  /** Milliseconds of CPU. The minimum of three: jest's process has other work, such as garbage of other suites. */
  function costOf(work: () => unknown): number {
    const costs = [1, 2, 3].map(() => {
      const before = process.cpuUsage();
      work();
      return process.cpuUsage(before).user / 1000;
    });
    return Math.min(...costs);
  }
  /** The cost of any body: one parse, without a schema. */
  const reading = (): unknown => JSON.parse(JSON.stringify(manyKeys));

  it.each<[string, SchemaObject, unknown]>([
    ['anyOf over anyOf', tower((next) => ({ anyOf: times(16, next) }), { type: 'null' }), {}],
    ['allOf over allOf', tower((next) => ({ allOf: times(16, next) }), true), {}],
    ['allOf over allOf, each with a fault', tower((next) => ({ allOf: times(16, next) }), { type: 'null' }), {}],
    ['oneOf over oneOf', tower((next) => ({ oneOf: times(16, next) }), true), {}],
    ['if over if', tower((next) => ({ allOf: times(32, { if: next, then: next }) }), true, 3), {}],
    ['two ways down at each level of the data', { anyOf: times(2, { properties: { a: { $ref: '#' } }, required: ['z'] }) }, deep(30)],
    ['a copy of a long list for each form', tower((next) => ({ anyOf: times(16, next) }), { prefixItems: [true], items: false }), ones],
    ['what is deep copied at each level', at({ allOf: times(900, { uniqueItems: true }) }), { x: [nested(28, long.slice(0, 120_000)), 1] }],
    ['long keys of what must be unique', at({ allOf: times(900, { uniqueItems: true }) }), { x: [{ [long]: 1 }, 1] }],
    ['every entry compared with every other', at({ allOf: times(900, { uniqueItems: true }) }), { x: ones.map((_, n) => n % 10) }],
    ['the keys of a large object', at({ allOf: times(900, { minProperties: 1 }) }), { x: manyKeys }],
    ['characters that have to be counted', at({ allOf: times(900, { minLength: 200_000 }) }), { x: long }],
    ['objects among many', at({ items: { enum: times(700, { a: { b: 1 } }) } }), { x: times(10_000, { a: { b: 2 } }) }],
    ['decimals of 600 digits', at({ items: { anyOf: times(100, { multipleOf: 5e-324 * 3 }) } }), { x: times(10_000, 1.7e308) }],
    ['names that are looked for in vain', at({ items: { properties: Object.fromEntries(Array.from({ length: 990 }, (_, n) => [`v${n}`, true])) } }), { x: times(50_000, {}) }],
    ['the longest texts of a format', at({ items: { anyOf: times(100, { format: 'email' }) } }), { x: times(1000, `${'a'.repeat(64)}@${'a.'.repeat(90)}-`) }],
  ])('is given up: %s', (_, schema, data) => {
    expect(schemaFaults(schema)).toEqual([]);
    const faults = dataFaults(schema, data);
    expect(faults).toEqual([{ field: 'data', code: 'too_costly', message: 'takes too many steps to check against the schema of its type' }]);
    // The dearest takes 16 times as much.
    expect(costOf(() => dataFaults(schema, data))).toBeLessThan(100 * costOf(reading));
  }); // prettier-ignore

  it('fills no stack with as many layers as may be, for data as deep as may be', () => {
    const layers = (count: number): unknown => (count === 0 ? { properties: { a: { $ref: '#' } } } : { anyOf: [layers(count - 1)] });
    const schema = layers(10) as SchemaObject;
    expect(faultsOf(schema, deep(31))).toEqual([]);
    expect(schemaFaults({ anyOf: [schema] })).toMatchObject([{ code: 'max_layers' }]);
  }); // prettier-ignore

  it('reports a hundred faults and no more, of keys that are cut short', () => {
    expect(faultsOf({ items: { type: 'string' } }, ones)).toHaveLength(100);
    const [fault] = dataFaults({ additionalProperties: false }, { [long]: 1 });
    expect(fault?.field).toBe(`data.${'a'.repeat(100)}…`);
  });
});

import { canonicalJson } from './canonical-json';
import { parseJsonBody } from './json-body';

const parse = (json: string): unknown => parseJsonBody(Buffer.from(json));

class Dto {
  notes?: string | null;
  items?: unknown;
}

describe('the canonical text of a value', () => {
  it.each([
    ['{"a":1,"b":{"c":[1,2],"d":"x"}}', '{"b":{"d":"x","c":[1,2]},"a":1}'],
    ['"\\u00e9"', '"é"'],
    ['{"a": 1.5}', '{"a":1.50}'],
  ])('is one for %s and %s', (one, other) => {
    expect(canonicalJson(parse(one))).toBe(canonicalJson(parse(other)));
  });

  it.each([
    ['{"n":1e5}', '{"n":{"source":"1e5"}}'],
    ['{"n":1e5}', '{"n":"1e5"}'],
    ['{"n":1e5}', '{"n":100000}'],
    ['{"n":9007199254740993}', '{"n":9007199254740992}'],
    ['{"n":null}', '{}'],
    ['[1,2]', '[2,1]'],
    ['{"a":"1"}', '{"a":1}'],
  ])('differs for %s and %s', (one, other) => {
    expect(canonicalJson(parse(one))).not.toBe(canonicalJson(parse(other)));
  });

  it('takes null as absent where a DTO describes the object', () => {
    expect(canonicalJson(Object.assign(new Dto(), { notes: null }))).toBe(canonicalJson(new Dto()));
    expect(canonicalJson(Object.assign(new Dto(), { items: { a: null } }))).not.toBe(
      canonicalJson(Object.assign(new Dto(), { items: {} })),
    );
  });

  it('distinguishes an amount from a text of its digits', () => {
    expect(canonicalJson({ a: 2999n })).not.toBe(canonicalJson({ a: '2999n' }));
  });
});

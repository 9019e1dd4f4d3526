import fc from 'fast-check';
import { parseJsonBody } from './json-body';
import { toSourceText, withJsonMember } from './source-text';

const parse = (text: string) => parseJsonBody(Buffer.from(text));

describe('the text of a parsed body', () => {
  it.each([
    '{"a":9007199254740993}',
    '{"a":[1e5,-1E+2,0.12345678901234567,12345678901234567890],"b":{"c":1.00000000000000000}}',
    '{"a":"\\\\u0000 is no mark","b":"\\"\\\\u00001\\"","n":9007199254740993}',
    '12345678901234567890',
    '{"a":"1e5","b":null,"c":[],"d":{}}',
  ])('keeps the numbers of %s as they were sent', (text) => {
    expect(toSourceText(parse(text))).toBe(text);
  });

  it('equals the result of JSON.stringify for all other values', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        if (text.includes('\\u0000') || /\\ud[89a-f]/i.test(text) || text.includes('__proto__')) return;
        expect(JSON.parse(toSourceText(parse(text)))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('takes the place of a member', () => {
    expect(withJsonMember({ id: '1', data: {}, last: null }, 'data', '{"$1":1e5,"$&":"$`"}')).toBe(
      '{"id":"1","data":{"$1":1e5,"$&":"$`"},"last":null}',
    );
  });
});

import { toQuery } from './statement';
import { toWire } from './wire-values';

describe('values on the wire', () => {
  it.each([
    ['text', 'text'],
    [1.5, '1.5'],
    [true, 'true'],
    [null, null],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [[], '{}'],
    [['a', null, 'NULL', 'b "c" \\d', 'e,{}'], '{"a",NULL,"NULL","b \\"c\\" \\\\d","e,{}"}'],
    [[1, -2.5, null], '{1,-2.5,NULL}'],
  ])('of %j', (value, text) => {
    expect(toWire(value)).toBe(text);
  });

  it('are lists only in a query, whose other values pg writes', () => {
    const at = new Date(0);
    const { values } = toQuery({ name: 'one', text: '', values: [['a', 'b'], 'c', 1, at, null] }, true);
    expect(values).toEqual(['{"a","b"}', 'c', 1, at, null]);
  });
});

import fc from 'fast-check';
import { canonicalJson } from '../platform/http/requests/canonical-json';
import { UnsafeNumber } from '../platform/http/requests/json-body';
import { Money, parseMoney } from './money';

const digits = fc.constantFrom(0, 2, 3, 4);
const LIMIT = 10n ** 12n;

/** The oracle: the value of a decimal as a fraction of integers, computed independently of the implementation. */
function fraction(decimal: string): { over: bigint; under: bigint } {
  const [whole, rest = ''] = decimal.split('.');
  return { over: BigInt(whole + rest), under: 10n ** BigInt(rest.length) };
}

function codeOf(input: unknown, minorUnits: number): string | bigint {
  const money = parseMoney(input, minorUnits);
  return money instanceof Money ? money.minor : money.code;
}

describe('parseMoney', () => {
  it.each<[unknown, number, bigint]>([
    ['59.98', 2, 5998n],
    ['0', 2, 0n],
    ['0.00', 2, 0n],
    ['0.01', 2, 1n],
    ['7', 2, 700n],
    ['7.5', 2, 750n],
    ['7.50', 2, 750n],
    ['100', 0, 100n],
    ['1.234', 3, 1234n],
    ['0.0001', 4, 1n],
    ['999999999999.99', 2, 99999999999999n],
    ['999999999999.9999', 4, 9999999999999999n],
    [29.99, 2, 2999n],
    [1.1, 2, 110n],
    [0, 2, 0n],
    [100, 0, 100n],
    [1e11, 2, 10n ** 13n],
    [999999999999.99, 2, 99999999999999n],
    [0.001, 3, 1n],
    [0.0001, 4, 1n],
  ])('reads %j with %i digits', (input, minorUnits, minor) => {
    expect(parseMoney(input, minorUnits)).toEqual(new Money(minor, minorUnits));
  });

  it.each<[unknown, number, string]>([
    ['', 2, 'money_format'],
    [' 1', 2, 'money_format'],
    ['1 ', 2, 'money_format'],
    ['1\n', 2, 'money_format'],
    ['+1', 2, 'money_format'],
    ['01', 2, 'money_format'],
    ['00', 2, 'money_format'],
    ['.5', 2, 'money_format'],
    ['5.', 2, 'money_format'],
    ['1,5', 2, 'money_format'],
    ['1_000', 2, 'money_format'],
    ['1e2', 2, 'money_format'],
    ['1E+2', 2, 'money_format'],
    ['0x10', 2, 'money_format'],
    ['NaN', 2, 'money_format'],
    ['Infinity', 2, 'money_format'],
    ['١', 2, 'money_format'],
    ['-', 2, 'money_format'],
    ['--1', 2, 'money_format'],
    [`1.${'0'.repeat(64)}`, 2, 'money_format'],
    ['-1', 2, 'money_range'],
    ['-0', 2, 'money_range'],
    ['-0.01', 2, 'money_range'],
    ['1000000000000', 2, 'money_range'],
    ['1'.repeat(40), 2, 'money_range'],
    ['1.005', 2, 'money_digits'],
    ['1.000', 2, 'money_digits'],
    ['1.0', 0, 'money_digits'],
    ['1.2345', 3, 'money_digits'],
    [1.005, 2, 'money_digits'],
    [1.5, 0, 'money_digits'],
    [1e-7, 2, 'money_digits'],
    [5e-324, 4, 'money_digits'],
    [-1, 2, 'money_range'],
    [-0, 2, 'money_range'],
    [1e12, 2, 'money_range'],
    [1e300, 2, 'money_range'],
    [0.1 + 0.2, 2, 'money_precision'],
    [1234567890.1234567, 2, 'money_precision'],
    [NaN, 2, 'money_format'],
    [Infinity, 2, 'money_format'],
    [-Infinity, 2, 'money_format'],
    [new UnsafeNumber('1e2'), 2, 'money_format'],
    [new UnsafeNumber('1E400'), 2, 'money_format'],
    [new UnsafeNumber('1.000000000000000'), 2, 'money_precision'],
    [null, 2, 'money_format'],
    [undefined, 2, 'money_format'],
    [true, 2, 'money_format'],
    [[], 2, 'money_format'],
    [['1'], 2, 'money_format'],
    [{ toString: () => '1' }, 2, 'money_format'],
    [1n, 2, 'money_format'],
  ])('refuses %p with %i digits as %s', (input, minorUnits, code) => {
    expect(codeOf(input, minorUnits)).toBe(code);
  });

  it('names the digits that the currency allows', () => {
    expect(parseMoney('1.005', 2)).toMatchObject({ message: expect.stringContaining('at most 2 digits') });
    expect(parseMoney('1.5', 0)).toMatchObject({ message: expect.stringContaining('no digits') });
  });

  it('is the inverse of writing an amount', () => {
    fc.assert(
      fc.property(digits, fc.bigInt({ min: 0n, max: LIMIT - 1n }), fc.nat(9999), (minorUnits, whole, rest) => {
        const unit = 10n ** BigInt(minorUnits);
        const minor = whole * unit + (BigInt(rest) % unit);
        const money = new Money(minor, minorUnits);
        expect(parseMoney(money.toString(), minorUnits)).toEqual(money);
      }),
    );
  });

  it('accepts a string exactly if it is a decimal in range with few enough digits, and keeps its value', () => {
    const decimal = fc
      .tuple(fc.bigInt({ min: 0n, max: LIMIT * 10n }), fc.stringMatching(/^(\.\d{1,6})?$/))
      .map(([whole, rest]) => `${whole}${rest}`);
    fc.assert(
      fc.property(decimal, digits, (text, minorUnits) => {
        const { over, under } = fraction(text);
        const unit = 10n ** BigInt(minorUnits);
        const fits = over < LIMIT * under && under <= unit;
        const money = parseMoney(text, minorUnits);
        expect(money instanceof Money).toBe(fits);
        if (money instanceof Money) expect(money.minor * under).toBe(over * unit);
      }),
    );
  });

  it('reads a number as the decimal that it prints as', () => {
    const number = fc
      .tuple(fc.integer({ min: 0, max: 10 ** 15 - 1 }), fc.nat(6))
      .map(([mantissa, places]) => Number(`${mantissa}e-${places}`));
    fc.assert(
      fc.property(number, digits, (value, minorUnits) => {
        const text = String(value);
        fc.pre(!text.includes('e'));
        expect(parseMoney(value, minorUnits)).toEqual(parseMoney(text, minorUnits));
      }),
    );
  });

  it('never throws, and accepts only amounts that it can format again', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything({ withBigInt: true }), fc.double(), fc.string()),
        digits,
        (input, minorUnits) => {
          const money = parseMoney(input, minorUnits);
          if (money instanceof Money) expect(Number(money.toString())).toBe(Number(input));
        },
      ),
    );
  });
});

describe('an amount as text', () => {
  it.each<[bigint, number, string]>([
    [0n, 2, '0.00'],
    [1n, 2, '0.01'],
    [5998n, 2, '59.98'],
    [100n, 0, '100'],
    [0n, 0, '0'],
    [1n, 3, '0.001'],
    [1n, 4, '0.0001'],
    [10n ** 30n, 2, `1${'0'.repeat(28)}.00`],
    [-5n, 2, '-0.05'],
    [-5n, 0, '-5'],
  ])('writes %p with %i digits as %s', (minor, minorUnits, text) => {
    expect(new Money(minor, minorUnits).toString()).toBe(text);
  });
});

describe('the sum of lines', () => {
  it('equals exact rational arithmetic over the decimals that were sent', () => {
    const line = fc.record({ quantity: fc.integer({ min: 1, max: 1000 }), minor: fc.bigInt({ min: 1n, max: LIMIT }) });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 50 }), fc.constantFrom(2, 3, 4), (lines, minorUnits) => {
        const priced = lines.map(({ quantity, minor }) => ({ quantity, unitPrice: new Money(minor, minorUnits) }));
        const sum = Money.sumOf(priced, minorUnits);
        let over = 0n;
        const under = 10n ** 6n;
        for (const { quantity, minor } of lines) {
          const price = fraction(new Money(minor, minorUnits).toString());
          over += (BigInt(quantity) * price.over * under) / price.under;
        }
        const total = fraction(sum.toString());
        expect(total.over * under).toBe(over * total.under);
      }),
    );
  });

  it('loses nothing where doubles would', () => {
    expect(Money.sumOf([{ quantity: 3, unitPrice: new Money(10n, 2) }], 2).minor).toBe(30n);
    const line = { quantity: 1000, unitPrice: new Money(9_999_999_999_999_999n, 4) };
    expect(Money.sumOf(Array<typeof line>(50).fill(line), 4).minor).toBe(499_999_999_999_999_950_000n);
    expect(Money.sumOf([], 2)).toEqual(new Money(0n, 2));
  });
});

describe('an amount', () => {
  it('is positive from one minor unit on', () => {
    expect([-1n, 0n, 1n].map((minor) => new Money(minor, 2).isPositive)).toEqual([false, false, true]);
  });

  it('is the same in a request in any spelling', () => {
    expect(canonicalJson({ price: parseMoney('29.9', 2) })).toBe(canonicalJson({ price: 2990n }));
    expect(canonicalJson({ price: parseMoney(29.9, 2) })).toBe(canonicalJson({ price: parseMoney('29.90', 2) }));
  });
});

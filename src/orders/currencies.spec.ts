import { CURRENCIES, minorUnits } from './currencies';

const codes = Object.keys(CURRENCIES);

/**
 * Active in ISO 4217 but missing in Intl.supportedValuesOf, which leaves out currencies that are not used for payments.
 */
const UNKNOWN_TO_INTL: Record<string, string> = {
  BOV: 'fund code: Bolivian Mvdol',
  CHE: 'fund code: WIR euro',
  CHW: 'fund code: WIR franc',
  CLF: 'fund code: Chilean unidad de fomento',
  COU: 'fund code: Colombian unidad de valor real',
  MXV: 'fund code: Mexican unidad de inversion',
  USN: 'fund code: US dollar, next day',
  UYI: 'fund code: Uruguayan peso en unidades indexadas',
  UYW: 'an index, not a means of payment: Uruguayan unidad previsional',
  VED: 'Venezuela uses VED beside VES; CLDR knows the latter only',
  XAD: 'fund code, new in 2025 (Amendment 179)',
};

/** Known to Intl but no currency of an order. */
const REFUSED: Record<string, string> = {
  ANG: 'replaced by XCG on 2025-03-31 (Amendment 176)',
  BGN: 'Bulgaria joined the euro on 2026-01-01 (Amendment 180)',
  CUC: 'withdrawn (Amendment 178)',
  HRK: 'Croatia joined the euro on 2023-01-01 (Amendment 174)',
  SLL: 'replaced by SLE (Amendment 175)',
  ZWL: 'replaced by ZWG on 2024-09-01 (Amendment 177)',
  XAG: 'metal, no minor units',
  XAU: 'metal, no minor units',
  XPD: 'metal, no minor units',
  XPT: 'metal, no minor units',
  XBA: 'bond market unit, no minor units',
  XBB: 'bond market unit, no minor units',
  XBC: 'bond market unit, no minor units',
  XBD: 'bond market unit, no minor units',
  XDR: 'special drawing right, no minor units',
  XSU: 'Sucre, no minor units',
  XUA: 'unit of account of the African Development Bank, no minor units',
  XTS: 'for tests, no minor units',
  XXX: 'no currency, no minor units',
};

/** CLDR writes these without the digits of ISO, since their coins are no longer in use. */
const WITHOUT_DIGITS_IN_CLDR = new Set(
  'AFN ALL COP CRC GYD HUF IDR IQD IRR KPW LAK LBP MGA MMK MUR PKR RSD SOS SYP TWD TZS UZS YER'.split(' '),
);

describe('currencies', () => {
  it('holds the 165 codes of List One that have minor units', () => {
    const byDigits = [0, 2, 3, 4].map((digits) => codes.filter((code) => minorUnits(code) === digits).length);
    expect(byDigits).toEqual([17, 139, 7, 2]);
    expect(codes.length).toBe(165);
    expect(codes.filter((code) => !/^[A-Z]{3}$/.test(code))).toEqual([]);
  });

  it.each([
    ['USD', 2],
    ['EUR', 2],
    ['JPY', 0],
    ['KRW', 0],
    ['ISK', 0],
    ['KWD', 3],
    ['TND', 3],
    ['CLF', 4],
    ['UYW', 4],
    ['VED', 2],
    ['SLE', 2],
    ['ZWG', 2],
    ['XCG', 2],
    ['MRU', 2],
    ['MGA', 2],
  ])('gives %s %i digits', (code, digits) => {
    expect(minorUnits(code)).toBe(digits);
  });

  it.each(Object.entries(REFUSED))('refuses %s: %s', (code) => {
    expect(minorUnits(code)).toBeUndefined();
  });

  it.each(['', 'usd', 'US', 'USDX', ' USD', '840', 'ABC', 'constructor', '__proto__', 'toString'])(
    'knows nothing of %j',
    (code) => {
      expect(minorUnits(code)).toBeUndefined();
    },
  );

  it('cannot be changed', () => {
    expect(Object.isFrozen(CURRENCIES)).toBe(true);
    expect(Object.getPrototypeOf(CURRENCIES)).toBeNull();
  });

  it('differs from the currencies of Intl only where a reason is known', () => {
    const intl = new Set(Intl.supportedValuesOf('currency'));
    expect(codes.filter((code) => !intl.has(code) && !(code in UNKNOWN_TO_INTL))).toEqual([]);
    // Newer versions of Node list every historic currency; then only the test above has an effect.
    if (intl.has('DEM')) return;
    expect([...intl].filter((code) => minorUnits(code) === undefined && !(code in REFUSED))).toEqual([]);
  });

  it('differs from the digits of Intl only where CLDR follows the coins in use', () => {
    const differences = codes
      .map((currency) => new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions())
      .filter(({ currency, maximumFractionDigits }) => minorUnits(currency!) !== maximumFractionDigits);
    for (const { currency, maximumFractionDigits } of differences) {
      const known = WITHOUT_DIGITS_IN_CLDR.has(currency!) && maximumFractionDigits === 0;
      expect({ currency, maximumFractionDigits, known }).toMatchObject({ known: true });
    }
  });
});

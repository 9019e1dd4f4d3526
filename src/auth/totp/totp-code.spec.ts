import { base32, codeOf, matchingStep, otpauthUri, stepAt } from './totp-code';

const SECRET = Buffer.from('12345678901234567890');

describe('a time-based one-time password', () => {
  it.each([
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ])('of second %i equals that of RFC 6238', (second, code) => {
    expect(codeOf(SECRET, stepAt(new Date(second * 1000)))).toBe(code);
  });

  it('is taken one step either side, and no further', () => {
    const now = new Date(1_700_000_000_000);
    const step = stepAt(now);
    expect([-2, -1, 0, 1, 2].map((drift) => matchingStep(SECRET, codeOf(SECRET, step + drift), now))).toEqual([
      undefined,
      step - 1,
      step,
      step + 1,
      undefined,
    ]);
  });

  it('is six plain digits', () => {
    for (const code of ['', '12345', '1234567', '１２３４５６', 'abcdef', ' 12345']) {
      expect(matchingStep(SECRET, code, new Date())).toBeUndefined();
    }
  });

  it('has its secret in base32, and its label without a way out', () => {
    expect(base32(SECRET)).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
    expect(otpauthUri(SECRET, 'Orders', 'a&secret=b@example.com')).toBe(
      'otpauth://totp/Orders:a%26secret%3Db%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Orders&algorithm=SHA1&digits=6&period=30',
    );
  });
});

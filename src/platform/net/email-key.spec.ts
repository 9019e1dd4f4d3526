import { emailKey, isPlainAddress } from './email-key';

describe('emailKey', () => {
  it.each([
    ['Ada@Example.COM', 'ada@example.com'],
    ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
    ['ada@XN--BCHER-KVA.example', 'ada@xn--bcher-kva.example'],
    ['jose\u0301@example.com', 'jos\u00e9@example.com'],
    // Letters beyond ASCII keep their case: É and é are two addresses in every locale.
    ['\u00c9ric@example.com', '\u00c9ric@example.com'],
    ['\u212aelvin@example.com', 'kelvin@example.com'],
    ['\u0130@example.com', '\u0130@example.com'],
  ])('makes of %j the key %j', (email, key) => {
    expect(emailKey(email)).toBe(key);
  });
});

describe('isPlainAddress', () => {
  it.each(['ada@example.com', 'jos\u00e9@example.com', 'jose\u0301@example.com'])('takes %j', (email) => {
    expect(isPlainAddress(email)).toBe(true);
  });
  it.each(['\uff41da@example.com', '\ufb01@example.com', '\u2460@example.com'])('refuses %j', (email) => {
    expect(isPlainAddress(email)).toBe(false);
  });
});

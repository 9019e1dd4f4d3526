import { AllowedAddresses } from './allowed-addresses';

describe('AllowedAddresses', () => {
  it('lets every address in without a range', () => {
    expect(new AllowedAddresses([]).has('203.0.113.9')).toBe(true);
    expect(new AllowedAddresses([]).has('nonsense')).toBe(true);
  });

  it.each([
    ['203.0.113.9', true],
    ['::ffff:203.0.113.9', true],
    ['203.0.114.9', false],
    ['2001:db8::9', true],
    ['2001:db9::9', false],
    ['', false],
    ['fe80::1%eth0', false],
  ])('has %s: %s', (address, expected) => {
    expect(new AllowedAddresses(['203.0.113.0/24', '2001:db8::/32']).has(address)).toBe(expected);
  });
});

import { parseCidr } from './cidrs';

describe('parseCidr', () => {
  it.each(['127.0.0.0/8', 'fd00::/8', '192.168.1.1/32', '0.0.0.0/0', '8000::/1'])('reads %s', (text) => {
    const [ip, bits] = parseCidr(` ${text} `);
    expect(`${ip.toString()}/${bits}`).toBe(text);
  });

  it.each([
    ['', 'expected an address, a slash and a prefix length'],
    ['127.0.0.1', '"127.0.0.1": expected an address, a slash and a prefix length'],
    ['10.0.0.0/', 'expected an address'],
    ['10.0.0.0/08', 'expected an address'],
    ['10.0.0.0/-1', 'expected an address'],
    ['10.0.0.0/255.0.0.0', 'expected an address'],
    ['10.0.0.0/8/8', 'expected an address'],
    ['10.0.0.0/33', 'the prefix length is at most 32'],
    ['fd00::/129', 'the prefix length is at most 128'],
    ['10/8', 'not an IPv4 or IPv6 address'],
    ['012.0.0.0/8', 'not an IPv4 or IPv6 address'],
    ['localhost/8', 'not an IPv4 or IPv6 address'],
    ['fe80::1%eth0/128', 'not an IPv4 or IPv6 address'],
    ['10.1.0.0/8', 'bits are set beyond the first 8'],
    ['fd00::1/64', 'bits are set beyond the first 64'],
    ['127.0.0.1/0', 'bits are set beyond the first 0'],
  ])('refuses %j', (text, message) => {
    expect(() => parseCidr(text)).toThrow(RangeError);
    expect(() => parseCidr(text)).toThrow(message);
  });
});

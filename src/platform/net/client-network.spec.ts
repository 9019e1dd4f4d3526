import type { FastifyRequest } from 'fastify';
import { callerAddress, clientNetwork, trustedProxies } from './client-network';

describe('clientNetwork', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['2001:db8::203.0.113.7', '2001:db8:0:0::/64'],
  ])('counts %s as %s', (address, network) => expect(clientNetwork(address)).toBe(network));
});

describe('the address of a caller', () => {
  const PEER = '10.0.0.1';

  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['203.0.113.9:40001', '203.0.113.9'],
    ['[2001:db8::1]:40001', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['', PEER],
    ['unknown', PEER],
    ['_hidden', PEER],
    [':', PEER],
    ['2001:db8:::1', PEER],
    ['203.0.113.999:1', PEER],
    ['[203.0.113.9', PEER],
  ])('of the entry %j is %s', (ip, expected) => {
    const socket = { remoteAddress: PEER } as FastifyRequest['socket'];
    expect(callerAddress({ ip, socket })).toBe(expected);
  });
});

describe('trusted proxies', () => {
  it.each([
    ['true', '192.0.2.1', true],
    ['false', '192.0.2.1', false],
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '10.1.2.3:4000', true],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '11.1.2.3', false],
    ['10.0.0.0/8, ::1', '::1', true],
    ['10.0.0.0/8, ::1', '[::1]:99', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['192.0.2.1', 'unknown', false],
  ])('with %s: %s is one: %s', (variable, address, expected) => {
    const trusted = trustedProxies(variable);
    expect(typeof trusted === 'boolean' ? trusted : trusted(address, 0)).toBe(expected);
  });

  it('are a number of hops', () => {
    const trusted = trustedProxies('2') as (address: string, hop: number) => boolean;
    expect([0, 1, 2].map((hop) => trusted('192.0.2.1', hop))).toEqual([true, true, false]);
  });
});

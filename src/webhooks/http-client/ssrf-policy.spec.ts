import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { parseCidr } from '../../platform/net/cidrs';
import { checkUrl, isAllowedAddress, isOpened } from './ssrf-policy';
import type { SsrfPolicy } from './ssrf-policy';

const closed: SsrfPolicy = { allowHttp: false, allowCidrs: [] };
const http: SsrfPolicy = { allowHttp: true, allowCidrs: [] };
const loopback: SsrfPolicy = { allowHttp: false, allowCidrs: ['127.0.0.0/8'].map(parseCidr) };

function fault(text: string, policy: SsrfPolicy = http): string {
  const verdict = checkUrl(text, policy);
  return verdict.ok ? 'ok' : verdict.code;
}

/**
 * The first, the last and one middle address of each forbidden range. IANA's special-purpose registries, RFC by RFC.
 */
const REFUSED_IPV4 = {
  'this network': ['0.0.0.0', '0.0.0.1', '0.255.255.255'],
  private: ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255'],
  'carrier NAT': ['100.64.0.0', '100.100.100.200', '100.127.255.255'],
  loopback: ['127.0.0.0', '127.0.0.1', '127.127.127.127', '127.255.255.255'],
  'link-local': ['169.254.0.0', '169.254.169.254', '169.254.255.255'],
  'protocol assignments': ['192.0.0.0', '192.0.0.8', '192.0.0.170', '192.0.0.192', '192.0.0.255'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.255'],
  '6to4 relays': ['192.88.99.1'],
  benchmarking: ['198.18.0.0', '198.19.255.255'],
  multicast: ['224.0.0.0', '224.0.0.1', '239.255.255.255'],
  reserved: ['240.0.0.0', '250.1.2.3', '255.255.255.254'],
  broadcast: ['255.255.255.255'],
  'AS112 and AMT': ['192.31.196.1', '192.52.193.1', '192.175.48.1'],
  'Azure wire server': ['168.63.129.16'],
};
const ALLOWED_IPV4 = [
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '168.63.129.15',
];

const REFUSED_IPV6 = {
  'unspecified and loopback': ['::', '::1'],
  'IPv4-mapped': ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8', '0:0:0:0:0:ffff:a00:1'],
  'IPv4-compatible': ['::127.0.0.1', '::7f00:1', '::a00:1', '::808:808', '::2'],
  SIIT: ['::ffff:0:127.0.0.1', '::ffff:0:7f00:1', '::ffff:0:808:808'],
  NAT64: ['64:ff9b::7f00:1', '64:ff9b::808:808', '64:ff9b:1::1', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff', '64:ff9b:2::1'],
  'discard and dummy': ['100::', '100::ffff:ffff:ffff:ffff', '100:0:0:1::1'],
  'Teredo and its neighbours': ['2001::1', '2001:0:7f00:1::', '2001:1::1', '2001:1ff:ffff::1'],
  benchmarking: ['2001:2::1'],
  'AMT and AS112': ['2001:3::1', '2001:4:112::1', '2620:4f:8000::1'],
  'ORCHID, both': ['2001:10::1', '2001:1f:ffff::1', '2001:20::1', '2001:2f:ffff::1'],
  'drone ids': ['2001:30::1'],
  documentation: ['2001:db8::1', '2001:db8:ffff::1', '3fff::1', '3fff:fff::1'],
  '6to4': ['2002::1', '2002:7f00:1::', '2002:ffff:ffff::1'],
  'segment routing': ['5f00::1', '5f00:ffff::1'],
  'unique-local': ['fc00::1', 'fd00::1', 'fd00:ec2::254', 'fdff:ffff::1'],
  'link-local, any zone': ['fe80::1', 'febf::1', 'fe80::1%eth0', 'fe80::1%1', '2a00:1450::1%eth0'],
  'site-local': ['fec0::1', 'feff::1'],
  multicast: ['ff00::1', 'ff02::1', 'ff0e::1', 'ffff::1'],
  unassigned: [
    '200::1',
    '400::1',
    '800::1',
    '1000::1',
    '4000::1',
    '6000::1',
    '8000::1',
    'a000::1',
    'c000::1',
    'e000::1',
    'f000::1',
    'f800::1',
    'fe00::1',
  ],
  ISATAP: ['2a00:1450:4001::5efe:7f00:1', '2a00:1450:4001:80e:200:5efe:10.0.0.1'],
};
const ALLOWED_IPV6 = [
  '2001:200::1',
  '2001:4860:4860::8888',
  '2003::1',
  '2400::1',
  '2606:4700:4700::1111',
  '2a00:1450:4001:80e::200e',
  '3fff:1000::1',
  '2620:4f:7fff::1',
];

const all = (table: Record<string, string[]>) =>
  Object.entries(table).flatMap(([name, list]) => list.map((ip): [string, string] => [name, ip]));

describe('addresses at connect time', () => {
  it.each([...all(REFUSED_IPV4), ...all(REFUSED_IPV6)])('refuses %s: %s', (_name, ip) => {
    expect(isAllowedAddress(ip, http)).toBe(false);
    expect(isAllowedAddress(ip, loopback)).toBe(ip.startsWith('127.'));
  });

  it.each([...ALLOWED_IPV4, ...ALLOWED_IPV6])('allows %s', (ip) => expect(isAllowedAddress(ip, closed)).toBe(true));

  it.each([
    '',
    ' ',
    'localhost',
    '8.8.8',
    '8.8.8.8 ',
    '08.8.8.8',
    '0x8.8.8.8',
    '134744072',
    '8.8.8.8/32',
    '[2003::1]',
    '2003::1 ',
    '8.8.8.8\n',
    '２.8.8.8',
  ])('refuses %j, which is no plain address', (text) =>
    expect(isAllowedAddress(text, { allowHttp: true, allowCidrs: ['0.0.0.0/0', '::/0'].map(parseCidr) })).toBe(false),
  );

  it('opens the configured ranges and no others', () => {
    const policy = { allowHttp: false, allowCidrs: ['10.1.0.0/16', '192.168.7.9/32', 'fd00:1::/32'].map(parseCidr) };
    for (const ip of ['10.1.0.0', '10.1.255.255', '192.168.7.9', 'fd00:1::1', '8.8.8.8'])
      expect(isAllowedAddress(ip, policy)).toBe(true);
    for (const ip of [
      '10.0.255.255',
      '10.2.0.0',
      '192.168.7.8',
      '192.168.7.10',
      'fd00:2::1',
      '::ffff:10.1.0.1',
      '64:ff9b::a01:1',
      '2002:a01:1::',
    ])
      expect(isAllowedAddress(ip, policy)).toBe(false);
    expect(isOpened('10.1.2.3', policy)).toBe(true);
    expect(isOpened('8.8.8.8', policy)).toBe(false);
    expect(isOpened('fd00:1::1%eth0', policy)).toBe(false);
  });

  it('is never laxer than ipaddr.js alone, and refuses addresses that ipaddr.js misses', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
        if (isAllowedAddress(ip, closed)) expect(ipaddr.parse(ip).range()).toBe('unicast');
      }),
      { numRuns: 2_000 },
    );
    const missed = all({ ...REFUSED_IPV4, ...REFUSED_IPV6 }).filter(([, ip]) => ipaddr.parse(ip).range() === 'unicast');
    expect([...new Set(missed.map(([name]) => name))].sort()).toEqual(
      [
        'Azure wire server',
        'IPv4-compatible',
        'ISATAP',
        'NAT64',
        'discard and dummy',
        'link-local, any zone',
        'unassigned',
      ].sort(),
    );
  });
});

/** Everything that inet_aton, and so the URL standard, takes for this IPv4 address. */
function spellings(ip: string): string[] {
  const [a, b, c, d] = ip.split('.').map(Number) as [number, number, number, number];
  const whole = ((a * 256 + b) * 256 + c) * 256 + d;
  const octal = (n: number) => `0${n.toString(8)}`;
  const hex = (n: number) => `0x${n.toString(16)}`;
  return [
    ip,
    `${ip}.`,
    String(whole),
    hex(whole),
    hex(whole).toUpperCase(),
    `0x000000${whole.toString(16)}`,
    octal(whole),
    `000${octal(whole)}`,
    `${a}.${(b * 256 + c) * 256 + d}`,
    `${hex(a)}.${octal((b * 256 + c) * 256 + d)}`,
    `${a}.${b}.${c * 256 + d}`,
    [a, b, c, d].map(octal).join('.'),
    [a, b, c, d].map(hex).join('.'),
    `${octal(a)}.${hex(b)}.${c}.${octal(d)}`,
    ip.replaceAll('.', '。'),
    ip.replaceAll('.', '．'),
    ip.replaceAll('.', '｡'),
    ip.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
    ip.replace(/\d/g, (digit) => String.fromCodePoint(0x1d7ce + Number(digit))),
    ip.replace(/\d/g, (digit) => `%3${digit}`),
    ip.replaceAll('.', '%2e'),
    ip.split('').join('\u00ad'),
  ];
}

describe('URLs at registration', () => {
  it.each(all(REFUSED_IPV4))('refuses every spelling of %s %s', (_name, ip) => {
    for (const host of spellings(ip)) {
      expect(`${host} ${fault(`https://${host}/hook`)}`).toBe(`${host} destination_not_allowed`);
      expect(fault(`http://${host}:8080`)).toBe('destination_not_allowed');
    }
  });

  it.each(all(REFUSED_IPV6))('refuses %s %s', (_name, ip) => {
    const expected = ip.includes('%') ? 'invalid_url' : 'destination_not_allowed';
    expect(fault(`https://[${ip}]/`)).toBe(expected);
    expect(fault(`https://[${ip.toUpperCase()}]:8443/`)).toBe(expected);
    if (ip.includes('%')) expect(fault(`https://[${ip.replace('%', '%25')}]/`)).toBe('invalid_url');
  });

  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'localhost..',
    'api.localhost',
    'a.b.localhost.',
    'LocalHost:8080',
    '%6c%6f%63alhost',
    'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ',
    'localhost。',
    'local\u00adhost',
    'ｌｏｃａｌｈｏｓｔ',
  ])('refuses %s, opened loopback or not', (host) => {
    expect(fault(`https://${host}/`)).toBe('destination_not_allowed');
    expect(fault(`https://${host}/`, loopback)).toBe('destination_not_allowed');
  });

  it('reports only that a destination is not allowed, and the form of loopback where it is open', () => {
    expect(checkUrl('https://169.254.169.254/', http)).toEqual({
      ok: false,
      code: 'destination_not_allowed',
      message: 'destination not allowed',
    });
    expect(checkUrl('https://localhost/', http)).toMatchObject({ message: 'destination not allowed' });
    expect(checkUrl('http://localhost:3000/', loopback)).toMatchObject({
      message: 'destination not allowed: write 127.0.0.1 in place of localhost',
    });
  });

  it.each([
    'https://example.com',
    'https://example.com/hooks/1?team=a%20b&x=%C3%A9',
    'HTTPS://EXAMPLE.COM/A',
    'https://example.com:443/',
    'https://example.com:80/',
    'https://example.com:1024/',
    'https://example.com:65535/',
    'https://a_b.xn--bcher-kva.example/',
    'https://bücher.example/ü?ü',
    'https://8.8.8.8/',
    'https://0x08080808/',
    'https://[2606:4700:4700::1111]:8443/',
    'https://127.0.0.1.example.com/',
    'https://localhost.example.com/',
    'https://notlocalhost/',
    'https://example.com/@user?a@b',
    'https://example.com/%2500',
    `https://example.com/${'a'.repeat(2_048 - 20)}`,
  ])('accepts %s', (text) => {
    const verdict = checkUrl(text, closed);
    expect(verdict).toMatchObject({ ok: true });
    expect(verdict.ok && verdict.url.href).toBe(new URL(text).href);
  });

  it.each([
    ['too_long', `https://example.com/${'a'.repeat(2_048 - 19)}`],
    ['user_info', 'https://user@example.com/'],
    ['user_info', 'https://user:password@example.com/'],
    ['user_info', 'https://@example.com/'],
    ['user_info', 'https://:@example.com/'],
    ['user_info', 'https://example.com:443@127.0.0.1/'],
    ['fragment', 'https://example.com/#top'],
    ['fragment', 'https://example.com/#'],
    ['port_not_allowed', 'https://example.com:0/'],
    ['port_not_allowed', 'https://example.com:1/'],
    ['port_not_allowed', 'https://example.com:22/'],
    ['port_not_allowed', 'https://example.com:0025/'],
    ['port_not_allowed', 'https://example.com:1023/'],
    ['invalid_url', 'https://example.com:65536/'],
    ['invalid_url', 'https://example.com:-1/'],
    ['invalid_url', 'https://example.com:8a/'],
    ['scheme_not_allowed', 'ftp://example.com/'],
    ['scheme_not_allowed', 'file:///etc/passwd'],
    ['scheme_not_allowed', 'gopher://example.com:1234/'],
    ['scheme_not_allowed', 'javascript:alert(1)'],
    ['scheme_not_allowed', 'wss://example.com/'],
    ['scheme_not_allowed', 'httpss://example.com/'],
    ['scheme_not_allowed', 'unix:/var/run/docker.sock'],
    ['invalid_url', ''],
    ['invalid_url', 'example.com'],
    ['invalid_url', '//example.com/'],
    ['invalid_url', '/hook'],
    ['invalid_url', 'https:'],
    ['invalid_url', 'https://'],
    ['invalid_url', 'https:///example.com/'],
    ['invalid_url', 'https:example.com'],
    ['invalid_url', 'https:/example.com'],
    ['invalid_url', 'https://?a'],
    ['invalid_url', ' https://example.com/'],
    ['invalid_url', 'https://example.com/ '],
    ['invalid_url', 'https://exa mple.com/'],
    ['invalid_url', 'https://example.com/a b'],
    ['invalid_url', 'https://example.com/\u00a0'],
    ['invalid_url', 'https://example.com/\u2028'],
    ['invalid_url', '\ufeffhttps://example.com/'],
    ['invalid_url', 'https://example.com\\@127.0.0.1/'],
    ['invalid_url', 'https:\\\\example.com/'],
    ['invalid_url', 'https://example.com/\\..\\'],
    ['invalid_url', 'https://example.com/\ud800'],
    ['invalid_url', 'https://example.com./'],
    ['invalid_url', 'https://a..example.com/'],
    ['invalid_url', 'https://.example.com/'],
    ['invalid_url', 'https://*.example.com/'],
    ['invalid_url', 'https://a,b.example.com/'],
    ['invalid_url', `https://${'a'.repeat(64)}.com/`],
    ['invalid_url', `https://${'a.'.repeat(130)}com/`],
    ['invalid_url', 'https://256.256.256.256/'],
    ['invalid_url', 'https://1.2.3.4.5/'],
    ['invalid_url', 'https://[::1/'],
    ['invalid_url', 'https://[v1.fe]/'],
    ['invalid_url', 'https://ex%zzample.com/'],
  ])('refuses as %s: %j', (code, text) => expect(fault(text)).toBe(code));

  it('refuses control characters anywhere, raw or encoded', () => {
    for (let byte = 0; byte < 0xa0; byte++) {
      if (byte === 0x20) byte = 0x7f;
      const raw = String.fromCharCode(byte);
      const encoded =
        byte < 0x80
          ? [`%${byte.toString(16).padStart(2, '0')}`, `%${byte.toString(16).padStart(2, '0').toUpperCase()}`]
          : [];
      for (const piece of [raw, ...encoded]) {
        for (const text of [
          `https://exa${piece}mple.com/`,
          `https://example.com/a${piece}b`,
          `https://example.com/?a${piece}b`,
          `https://example.com/#a${piece}`,
          `https://u${piece}@example.com/`,
          `${piece}https://example.com/`,
          `https://example.com/${piece}`,
          `ht${piece}tps://example.com/`,
        ]) {
          expect(`${JSON.stringify(text)} ${fault(text)}`).toBe(`${JSON.stringify(text)} control_character`);
        }
      }
    }
  });

  it('accepts http only where the policy allows it, or for a literal address that is opened', () => {
    expect(fault('http://example.com/', closed)).toBe('scheme_not_allowed');
    expect(fault('http://8.8.8.8/', closed)).toBe('scheme_not_allowed');
    expect(fault('http://example.com/', http)).toBe('ok');
    expect(fault('http://127.0.0.1:3000/', http)).toBe('destination_not_allowed');
    expect(fault('http://127.0.0.1:3000/', loopback)).toBe('ok');
    expect(fault('http://2130706433:3000/', loopback)).toBe('ok');
    expect(fault('https://127.9.9.9/', loopback)).toBe('ok');
    expect(fault('http://example.com/', loopback)).toBe('scheme_not_allowed');
    expect(fault('http://[::1]:3000/', loopback)).toBe('destination_not_allowed');
    expect(fault('http://[::ffff:127.0.0.1]:3000/', loopback)).toBe('destination_not_allowed');
    expect(fault('http://127.0.0.1:22/', loopback)).toBe('port_not_allowed');
    expect(fault('http://10.0.0.1/', loopback)).toBe('destination_not_allowed');
    // A name may resolve into a network that is opened: the dial decides. Loopback is no such network.
    const network = { allowHttp: false, allowCidrs: ['10.0.0.0/8'].map(parseCidr) };
    expect(fault('http://receiver:8080/', network)).toBe('ok');
    expect(fault('http://receiver:8080/', loopback)).toBe('scheme_not_allowed');
    expect(fault('http://8.8.8.8/', network)).toBe('scheme_not_allowed');
  });

  it('never accepts a literal of a forbidden address, for any text', () => {
    const piece = fc.oneof(
      fc.ipV4Extended(),
      fc.ipV6().map((ip) => `[${ip}]`),
      fc.domain(),
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom('@', ':', '/', '\\', '.', '#', '?', '%00', '127.0.0.1', 'localhost'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
        const verdict = checkUrl(`https://${pieces.join('')}`, closed);
        if (!verdict.ok) return;
        const { url } = verdict;
        const host = url.hostname.replace(/^\[|\]$/g, '');
        if (ipaddr.isValid(host)) expect(isAllowedAddress(host, closed)).toBe(true);
        expect(host).not.toMatch(/(^|\.)localhost\.*$/);
        expect([url.username, url.password, url.hash]).toEqual(['', '', '']);
      }),
      { numRuns: 2_000 },
    );
  });
});

import { ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { endpointInput, makeEndpoint } from '../harness/webhooks';

describe('bad input for webhook endpoints', () => {
  let service: TestService;
  let tenant: ApiClient;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
  let endpoint: any;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
    endpoint = await makeEndpoint(tenant);
  });
  afterAll(async () => {
    expect((await tenant.get(`/webhooks/endpoints/${endpoint.id}`)).body.version).toBe(1);
    await service.stop();
  });

  describe('fields', () => {
    const BAD: [string, Record<string, unknown>, string[]][] = [
      ['no url', { url: undefined }, ['url: required']],
      ['url null', { url: null }, ['url: is_string']],
      ['url a number', { url: 5 }, ['url: is_string']],
      ['url empty', { url: '' }, ['url: min_length']],
      ['url too long', { url: `https://example.com/${'a'.repeat(2040)}` }, ['url: max_length']],
      ['no event_types', { event_types: undefined }, ['event_types: required']],
      ['event_types text', { event_types: 'order.created' }, ['event_types: is_array']],
      ['event_types empty', { event_types: [] }, ['event_types: array_min_size']],
      ['101 event_types', { event_types: Array(101).fill('a.b') }, ['event_types: array_max_size']],
      ['an unknown order event', { event_types: ['a.b', 'order.shipped'] }, ['event_types.1: unknown_event_type']],
      ['an unknown webhook event', { event_types: ['webhook.x'] }, ['event_types.0: unknown_event_type']],
      ['an unknown prefix', { event_types: ['order.created.*'] }, ['event_types.0: unknown_event_type']],
      ['one word', { event_types: ['order'] }, ['event_types.0: event_type']],
      ['a star inside', { event_types: ['*.created'] }, ['event_types.0: event_type']],
      ['two stars', { event_types: ['order.**'] }, ['event_types.0: event_type']],
      ['upper case', { event_types: ['Order.created'] }, ['event_types.0: event_type']],
      ['a line break', { event_types: ['order.created\n'] }, ['event_types.0: event_type']],
      ['no strings', { event_types: [1, null, {}] }, [0, 1, 2].map((at) => `event_types.${at}: is_string`)],
      ['a long name', { event_types: [`a.${'b'.repeat(300)}`] }, ['event_types.0: max_length']],
      ['description too long', { description: 'a'.repeat(501) }, ['description: max_length']],
      ['a bell in it', { description: '\u0007' }, ['description: text']],
      ['headers a list', { headers: [] }, ['headers: type']],
      ['headers null', { headers: null }, ['headers: type']],
      ['Host', { headers: { hOsT: 'a' } }, ['headers.hOsT: reserved']],
      ['a signature', { headers: { 'Webhook-Signature': 'a' } }, ['headers.Webhook-Signature: reserved']],
      ['a line break in a header', { headers: { A: 'b\r\nC: d' } }, ['headers.A: format']],
      ['a header with a number', { headers: { A: 1 } }, ['headers.A: type']],
      ['rate_limit 0', { rate_limit: 0 }, ['rate_limit: min']],
      ['rate_limit 10001', { rate_limit: 10_001 }, ['rate_limit: max']],
      ['rate_limit 1.5', { rate_limit: 1.5 }, ['rate_limit: is_int']],
      ['rate_limit text', { rate_limit: '1' }, ['rate_limit: is_int']],
      ['an ordering', { ordering: 'fifo' }, ['ordering: is_in']],
      ['a signature scheme', { signature: 'v2' }, ['signature: is_in']],
      ['enabled text', { enabled: 'true' }, ['enabled: is_boolean']],
      ['a secret', { secret: 'whsec_x' }, ['secret: unknown_field']],
    ];

    it.each(BAD)('responds with 422 for %s', async (_, change, faults) => {
      expect(faultsOf(await tenant.post('/webhooks/endpoints', endpointInput(change)))).toEqual(faults);
    });

    it('checks changes the same way', async () => {
      const { id } = await makeEndpoint(tenant);
      for (const [name, change, faults] of BAD) {
        if (faults.some((fault) => fault.endsWith(': required'))) continue;
        const response = await tenant.patch(`/webhooks/endpoints/${id}`, change);
        expect([name, faultsOf(response)]).toEqual([name, faults]);
      }
      expect((await tenant.get(`/webhooks/endpoints/${id}`)).body.version).toBe(1);
    });

    it('reports every fault at once', async () => {
      const response = await tenant.post('/webhooks/endpoints', {
        url: 'https://127.0.0.1',
        event_types: ['order.nope', 'x'],
        headers: { Host: 'a' },
        rate_limit: 0,
        colour: 'red',
      });
      expect(faultsOf(response)).toEqual([
        'colour: unknown_field',
        'event_types.0: unknown_event_type',
        'event_types.1: event_type',
        'headers.Host: reserved',
        'rate_limit: min',
        'url: destination_not_allowed',
      ]);
    });

    it('responds with 400 without a body, and 422 for one that is no object', async () => {
      expectProblem(await tenant.post('/webhooks/endpoints'), 'malformed_request');
      expect(faultsOf(await tenant.post('/webhooks/endpoints', [endpointInput()]))).toEqual([': is_object']);
    });
  });

  describe('URLs', () => {
    const NOT_ALLOWED = [
      'https://127.0.0.1/', 'https://127.1/', 'https://127.0.1/', 'https://2130706433/', 'https://0x7f000001/',
      'https://0x7f.0.0.1/', 'https://0177.0.0.1/', 'https://017700000001/', 'https://127.0.0.1:8443/', 'https://127.0.0.1./',
      'https://１２７.０.０.１/', 'https://127。0。0。1/', 'https://%31%32%37.0.0.1/', 'https://⑫7.0.0.1/', 'https://0/',
      'https://0.0.0.0/', 'https://10.0.0.1/', 'https://10.1/', 'https://172.16.0.1/', 'https://172.31.255.255/',
      'https://192.168.0.1/', 'https://169.254.169.254/latest/meta-data', 'https://2852039166/', 'https://0xa9fea9fe/',
      'https://100.64.0.1/', 'https://168.63.129.16/', 'https://192.0.0.1/', 'https://192.0.2.1/', 'https://198.18.0.1/',
      'https://198.51.100.1/', 'https://203.0.113.1/', 'https://224.0.0.1/', 'https://240.0.0.1/', 'https://255.255.255.255/',
      'https://[::]/', 'https://[::1]/', 'https://[0:0:0:0:0:0:0:1]/', 'https://[::ffff:127.0.0.1]/', 'https://[::ffff:7f00:1]/',
      'https://[::ffff:0:127.0.0.1]/', 'https://[::127.0.0.1]/', 'https://[64:ff9b::7f00:1]/', 'https://[64:ff9b:1::1]/',
      'https://[2002:7f00:1::]/', 'https://[2001::1]/', 'https://[2001:db8::1]/', 'https://[fe80::1]/', 'https://[fec0::1]/',
      'https://[fc00::1]/', 'https://[fd00::1]/', 'https://[ff02::1]/', 'https://[2606:4700::5efe:7f00:1]/',
      'https://localhost/', 'https://LOCALHOST/', 'https://localhost./', 'https://api.localhost/', 'https://ｌｏｃａｌｈｏｓｔ/',
      'https://%6cocalhost/', 'https://localhost:8443/',
    ]; // prettier-ignore
    const REFUSED: [string, string][] = [
      ['user_info', 'https://user@example.com/'],
      ['user_info', 'https://user:password@example.com/'],
      ['user_info', 'https://@example.com/'],
      ['user_info', 'https://example.com:443@127.0.0.1/'],
      ['fragment', 'https://example.com/#'],
      ['port_not_allowed', 'https://example.com:22/'],
      ['port_not_allowed', 'https://example.com:1023/'],
      ['port_not_allowed', 'https://example.com:0/'],
      ['scheme_not_allowed', 'http://example.com/'],
      ['scheme_not_allowed', 'HTTP://example.com/'],
      ['scheme_not_allowed', 'ftp://example.com/'],
      ['scheme_not_allowed', 'file:///etc/passwd'],
      ['scheme_not_allowed', 'javascript:alert(1)'],
      ['invalid_url', 'example.com'],
      ['invalid_url', '//example.com/'],
      ['invalid_url', 'https:example.com'],
      ['invalid_url', ' https://example.com/'],
      ['invalid_url', 'https://example.com/a b'],
      ['invalid_url', 'https://example.com\\@127.0.0.1/'],
      ['invalid_url', 'https://example.com./'],
      ['invalid_url', 'https://[fe80::1%25eth0]/'],
      ['invalid_url', 'https://256.256.256.256/'],
      ['control_character', 'https://example.com/%0d%0aX:1'],
      ['control_character', 'https://example.com/%00'],
      ['control_character', 'https://exam%0Aple.com/'],
      ['text', 'https://example.com/\t'],
      ['text', 'https://example.com/\r\nX:1'],
      ['text', 'https://exa\u0085mple.com/'],
    ];

    it.each([...NOT_ALLOWED.map((url) => ['destination_not_allowed', url]), ...REFUSED])(
      'responds with 422 %s for %j',
      async (code, url) => {
        const response = await tenant.post('/webhooks/endpoints', endpointInput({ url }));
        expect(faultsOf(response)).toEqual([`url: ${code}`]);
        if (code === 'destination_not_allowed') expect(response.body.errors[0].message).toBe('destination not allowed');
        expect(faultsOf(await tenant.patch(`/webhooks/endpoints/${endpoint.id}`, { url }))).toEqual([`url: ${code}`]);
      },
    );

    it.each([
      'https://example.com',
      'https://example.com:80/',
      'https://example.com:1024/a?b=%20c&d=é',
      'https://bücher.example/',
      'https://8.8.8.8/',
      'https://[2606:4700:4700::1111]:8443/',
      'https://127.0.0.1.example.com/',
      `https://example.com/${'a'.repeat(2028)}`,
    ])('takes %s as it is', async (url) => {
      const { id } = await makeEndpoint(tenant, { url });
      const shown = (await tenant.get(`/webhooks/endpoints/${id}`)).body.url as string;
      const { url: whole = shown } = (await tenant.get(`/webhooks/endpoints/${id}/secret`)).body;
      expect(whole).toBe(url);
    });

    it('takes http, and addresses of its own, where the configuration allows it', async () => {
      const env = { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOW_CIDRS: '10.0.0.0/8,127.0.0.0/8' };
      const open = await startService({ env, database: service.database });
      const client = new ApiClient(open.url, tenant.session);
      for (const url of [
        'http://example.com/',
        'http://127.0.0.1:4000/',
        'https://10.1.2.3/',
        'http://10.1.2.3:8080/',
      ]) {
        expect((await makeEndpoint(client, { url })).url).toBe(url);
      }
      for (const url of ['http://192.168.0.1/', 'http://[::1]/', 'http://localhost/', 'http://127.0.0.1:22/']) {
        expect((await client.post('/webhooks/endpoints', endpointInput({ url }))).status).toBe(422);
      }
      await open.stop();
    });
  });
});

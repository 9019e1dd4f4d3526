import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { transformFileSync } from '@swc/core';
import { ConfigError, loadConfig, required } from '../../../src/platform/config/config';
import { configWarnings } from '../../../src/processes/config-warnings';
import { describeConfig } from '../../../src/platform/config/describe';
import { schema } from '../../../src/platform/config/schema';
import { newKey } from '../../../src/platform/crypto/secret-box';

function faultsOf(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    return (error as ConfigError).faults;
  }
}

describe('the configuration', () => {
  it('has the contract’s defaults', () => {
    expect(loadConfig({})).toMatchObject({
      PORT: 3000,
      HOST: '127.0.0.1',
      DATA_DIR: './.data',
      DB_POOL_SIZE: 20,
      ACCESS_TOKEN_EXPIRE_MINUTES: 15,
      REFRESH_TOKEN_EXPIRE_DAYS: 30,
      ALLOWED_ORIGINS: ['http://localhost:3000'],
      RATE_LIMIT_TENANT_PER_SECOND: 200,
      RATE_LIMIT_TENANT_BURST: 1000,
      RATE_LIMIT_ADDRESS_PER_MINUTE: 600,
      WEBHOOK_TIMEOUT: 15_000,
      WEBHOOK_ALLOW_CIDRS: [],
    });
    expect(loadConfig({}).DATABASE_URL).toBeUndefined();
  });

  it('takes an empty variable for one that is left out', () => {
    expect(loadConfig({ PORT: '', DATABASE_URL: '' })).toEqual(loadConfig({}));
  });

  it('reports every fault at once, a line each', () => {
    const faults = faultsOf({ PORT: '80000', JWT_SECRET: 'short', TRUST_PROXY: 'perhaps', DOCS_ENABLED: 'yes' });
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual(['PORT', 'JWT_SECRET', 'TRUST_PROXY', 'DOCS_ENABLED']);
    expect(new ConfigError(['A is wrong', 'B is too']).message).toBe(
      'configuration: A is wrong\nconfiguration: B is too',
    );
  });

  it.each<[string, string]>([
    ['PORT', '3000.5'],
    ['PORT', '0x10'],
    ['DATABASE_URL', 'localhost:5432'],
    ['DATABASE_URL', 'http://localhost'],
    ['REDIS_URL', 'postgres://localhost'],
    ['ALLOWED_ORIGINS', '*'],
    ['ALLOWED_ORIGINS', 'https://app.example.com/'],
    ['METRICS_PORT', 'none'],
    ['METRICS_PORT', '65536'],
    ['SHED_POOL_WAIT', '1'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'no value'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.1'],
    ['SHUTDOWN_TIMEOUT', '20'],
    ['SHUTDOWN_TIMEOUT', '0s'],
    ['WEBHOOK_RETRY_SCHEDULE', '5s,soon'],
    ['WEBHOOK_ALLOW_CIDRS', '10.0.0.1/33'],
    ['WEBHOOK_ALLOW_CIDRS', 'localhost'],
    ['TRUST_PROXY', '10.0.0.0/99'],
    ['TRUST_PROXY', ':::'],
    ['DB_POOL_SIZE', '3'],
  ])('refuses %s=%s', (name, value) => {
    expect(faultsOf({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name} must `))]);
  });

  it.each<[string, string, unknown]>([
    ['ALLOWED_ORIGINS', 'https://a.example, http://localhost:8080', ['https://a.example', 'http://localhost:8080']],
    ['WEBHOOK_RETRY_SCHEDULE', '200ms,5s,5m', [200, 5_000, 300_000]],
    ['TRUST_PROXY', '2', '2'],
    ['TRUST_PROXY', '10.0.0.0/8, ::1', '10.0.0.0/8, ::1'],
    ['SHUTDOWN_TIMEOUT', '1m', 60_000],
    ['SHUTDOWN_DELAY', '0ms', 0],
  ])('reads %s=%s', (name, text, value) => {
    expect(loadConfig({ [name]: text })).toHaveProperty(name, value);
  });

  it.each([
    [{ REDSI_URL: 'redis://cache' }, 'unknown REDSI_URL; did you mean REDIS_URL?'],
    [{ DATABSE_URL: 'postgres://db/orders' }, 'unknown DATABSE_URL; did you mean DATABASE_URL?'],
    [{ JWT_SECRET_FIEL: '/run/secret' }, 'unknown JWT_SECRET_FIEL; did you mean JWT_SECRET_FILE?'],
    [{ WEBHOOK_TIMEOUT_SECONDS: '15' }, 'unknown WEBHOOK_TIMEOUT_SECONDS; did you mean WEBHOOK_TIMEOUT?'],
    [{ REFRESH_TOKEN_EXPIRE: '30' }, 'unknown REFRESH_TOKEN_EXPIRE; did you mean REFRESH_TOKEN_EXPIRE_DAYS?'],
    [{ DB_POOL_MAX: '30' }, 'unknown DB_POOL_MAX; remove it'],
    [{ NODE_ENV: 'prodution' }, 'NODE_ENV is prodution; did you mean production?'],
  ])('names the misspelt variable of %p', (env, fault) => {
    expect(faultsOf(env as unknown as Record<string, string>)).toEqual([fault]);
  });

  it('accepts variables of other programs', () => {
    const env = {
      HOSTNAME: 'api-1',
      PGHOST: 'db',
      DB_HOST: 'db',
      WEBHOOK_SINK_SERVICE_PORT: '80',
      NODE_ENV: 'production',
    };
    expect(() => loadConfig(env)).not.toThrow();
  });

  it.each([
    ['an at sign', 'postgres://me:zq@xj@db/orders'],
    ['a slash and an at sign', 'postgres://me:zq/x@xj@db/orders'],
    ['a hash', 'postgres://me:zq#xj@db/orders'],
  ])('refuses a database URL with %s in its password, without repeating a part of it', (_, url) => {
    const [fault = ''] = faultsOf({ DATABASE_URL: url });
    expect(fault).toMatch(/^DATABASE_URL must (have @|be a URL)/);
    expect(fault).not.toMatch(/zq|xj/);
  });

  it.each([
    ['several hosts', 'postgres://one,two/orders', 'must name one host'],
    ['several hosts with ports', 'postgres://me:zqxj@one:5432,two:5432/orders', 'must name one host'],
    [
      'a % that encodes nothing',
      'postgres://me:zq%xj@db/orders',
      'must have a % of its user and password written as %25',
    ],
    [
      'a TLS mode that falls back to none',
      'postgres://db/orders?sslmode=prefer',
      'has the sslmode prefer; use one of disable, require, verify-ca, verify-full, no-verify',
    ],
    [
      'an authority that is not there',
      'postgres://db/orders?sslrootcert=/no/ca.pem',
      'has sslrootcert=/no/ca.pem, which cannot be read (ENOENT)',
    ],
    ['a leading blank', ' postgres://db/orders', 'must not begin or end with a blank'],
  ])('refuses a database URL with %s', (_, url, fault) => {
    expect(faultsOf({ DATABASE_URL: url })).toEqual([`DATABASE_URL ${fault}`]);
  });

  it('takes require and verify-ca for verify-full, which the driver does with a warning', () => {
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      const url = `postgres://me:p%40ss%2Bw@db:5432/orders?sslmode=${mode}&application_name=a%20b&sslrootcert=system`;
      expect(loadConfig({ DATABASE_URL: url }).DATABASE_URL).toBe(
        'postgres://me:p%40ss%2Bw@db:5432/orders?sslmode=verify-full&application_name=a%20b',
      );
    }
  });

  it('refuses an authority of Redis that is not there', () => {
    expect(faultsOf({ REDIS_URL: 'rediss://cache?cacert=/no/ca.pem' })).toEqual([
      'REDIS_URL has cacert=/no/ca.pem, which cannot be read (ENOENT)',
    ]);
    expect(faultsOf({ REDIS_URL: 'redis://cache?cacert=/no/ca.pem' })[0]).toMatch(/its query is not known$/);
  });

  it('warns of settings that are probably not intended', () => {
    const config = loadConfig({ SHUTDOWN_TIMEOUT: '5s', WEBHOOK_TIMEOUT: '30s' });
    expect(configWarnings(config, { HTTPS_PROXY: 'http://proxy:3128' })).toEqual([
      expect.stringMatching(/^SHUTDOWN_TIMEOUT is shorter/),
      expect.stringMatching(/^HTTPS_PROXY is ignored/),
    ]);
    expect(configWarnings(loadConfig({}), {})).toEqual([]);
    expect(configWarnings(loadConfig({}), { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' })).toEqual([]);
    expect(configWarnings(loadConfig({}), { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toEqual([
      'OTEL_EXPORTER_OTLP_PROTOCOL=grpc is ignored: traces are sent as http/json',
    ]);
  });

  it('has routing to nodes without a replica, and addresses of nodes with it alone', () => {
    const replica = { DATABASE_REPLICA_URL: 'postgres://app_service@replica/orders' };
    const addresses = { DATABASE_NODE_ADDRESSES: 'a:1=b:2' };
    expect(faultsOf({ DATABASE_ROUTING: 'node', ...addresses })).toEqual([]);
    expect(faultsOf({ ...replica, ...addresses })).toEqual(['DATABASE_NODE_ADDRESSES needs DATABASE_ROUTING=node']);
    expect(faultsOf({ DATABASE_ROUTING: 'node', ...replica })).toEqual([
      'DATABASE_REPLICA_URL must be left out where DATABASE_ROUTING is node: no replica has the rows of all servers',
    ]);
    expect(faultsOf({ DATABASE_ROUTING: 'nodes' })).toEqual(['DATABASE_ROUTING must be one of coordinator, node']);
    expect(faultsOf({ DATABASE_ROUTING: 'node', DATABASE_NODE_ADDRESSES: 'a=b' })).toEqual([
      'DATABASE_NODE_ADDRESSES must list NAME:PORT=HOST:PORT, comma-separated',
    ]);
  });

  it('checks variables against each other', () => {
    expect(faultsOf({ SESSION_EXPIRE_DAYS: '7', REFRESH_TOKEN_EXPIRE_DAYS: '30' })).toEqual([
      'SESSION_EXPIRE_DAYS must not be shorter than REFRESH_TOKEN_EXPIRE_DAYS',
    ]);
  });

  it('names the variables that a process requires', () => {
    expect(() => required(loadConfig({}), 'JWT_SECRET')).toThrow('configuration: JWT_SECRET is required');
  });

  it('documents every variable in a sentence, and has secrets without defaults', () => {
    for (const [name, variable] of Object.entries(schema) as [string, { doc: string; secret?: boolean }][]) {
      expect([name, variable.doc]).toEqual([name, expect.stringMatching(/^\S.*[.)]$/)]);
      if (variable.secret) expect(variable).toHaveProperty('fallback', undefined);
    }
  });
});

describe('a secret in a file', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'secret-file-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const put = (content: string | Buffer): string => {
    const file = join(mkdtempSync(join(folder, 'mount-')), 'secret');
    writeFileSync(file, content);
    return file;
  };
  const SECRET = 'a secret that has more than 32 bytes';
  const secrets = (Object.entries(schema) as [string, { secret?: boolean }][]).filter(([, { secret }]) => secret);
  const sound: Record<string, string> = {
    DATABASE_URL: 'postgres://one@db/orders',
    MIGRATION_DATABASE_URL: 'postgres://two@db/orders',
    DIRECT_DATABASE_URL: 'postgres://three@db/orders',
    DATABASE_REPLICA_URL: 'postgres://five@replica/orders',
    SIGN_IN_DATABASE_URL: 'postgres://app_sign_in@db/orders',
    QUEUE_DATABASE_URL: 'postgres://app_queue@db/orders',
    REDIS_URL: 'redis://:four@cache:6379/0',
    SMTP_URL: 'smtps://six:seven@mail:465',
    ENCRYPTION_KEYS: newKey('k1'),
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20five',
  };

  it('is taken for every secret variable, the URLs included', () => {
    expect(secrets.map(([name]) => name)).toEqual(expect.arrayContaining([...Object.keys(sound), 'JWT_SECRET']));
    for (const [name] of secrets) {
      const value = sound[name] ?? SECRET;
      expect(loadConfig({ [`${name}_FILE`]: put(value) })).toHaveProperty(name, value);
    }
  });

  it('is not taken for a variable that is no secret', () => {
    expect(loadConfig({ PORT_FILE: put('4000') }).PORT).toBe(3000);
  });

  it.each([
    ['one newline', `${SECRET}\n`, SECRET],
    ['one newline of Windows', `${SECRET}\r\n`, SECRET],
    ['the byte order mark of Windows', `\uFEFF${SECRET}\r\n`, SECRET],
    ['no space inside', `${SECRET} and more`, `${SECRET} and more`],
  ])('loses %s', (_, content, value) => {
    expect(loadConfig({ JWT_SECRET_FILE: put(content) }).JWT_SECRET).toBe(value);
  });

  it('must not stand beside the variable itself', () => {
    expect(faultsOf({ JWT_SECRET: SECRET, JWT_SECRET_FILE: put(SECRET) })).toEqual([
      'JWT_SECRET and JWT_SECRET_FILE are both set: leave one out',
    ]);
    const file = put(SECRET);
    expect(loadConfig({ JWT_SECRET: '', JWT_SECRET_FILE: file }).JWT_SECRET).toBe(SECRET);
    expect(loadConfig({ JWT_SECRET: SECRET, JWT_SECRET_FILE: '' }).JWT_SECRET).toBe(SECRET);
  });

  it('is refused where it cannot be read, is empty, no text, or too large, by a line that names the file', () => {
    const [empty, newline, binary, large] = ['', '\n', Buffer.from([0xff, 0xfe]), 'x'.repeat(65_537)].map(put);
    const [mark, blank, behind, lines] = ['\uFEFF\n', ` ${SECRET}`, `${SECRET} \n`, `${SECRET}\n\n`].map(put);
    const white = 'it begins or ends with white space; remove that';
    const faults: [string | undefined, string][] = [
      [join(folder, 'nowhere'), 'ENOENT'],
      [folder, 'EISDIR'],
      [empty, 'it is empty; restore its content'],
      [newline, 'it is empty; restore its content'],
      [mark, 'it is empty; restore its content'],
      [blank, white],
      [behind, white],
      [lines, white],
      [binary, 'it is not UTF-8'],
      [large, 'it has more than 65536 bytes'],
    ];
    for (const [file = '', reason] of faults) {
      expect(faultsOf({ JWT_SECRET_FILE: file })).toEqual([
        `JWT_SECRET cannot be read from ${file} (JWT_SECRET_FILE): ${reason}`,
      ]);
    }
  });

  it('is checked like the variable, and not repeated in the fault', () => {
    const faults = faultsOf({ JWT_SECRET_FILE: put('too-short'), DATABASE_URL_FILE: put('mysql://user:pa55@db') });
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual(['DATABASE_URL', 'JWT_SECRET']);
    expect(faults.join()).not.toMatch(/too-short|pa55/);
  });
});

describe('the configuration as an operator may see it', () => {
  it.each([
    ['DATABASE_URL', 'postgres://me:pa55@db:5432/orders', 'postgres://me:***@db:5432/orders'],
    ['DATABASE_URL', 'postgres://me@db/orders?sslpassword=pa55', 'postgres://me:***@db/orders?***'],
    ['DATABASE_URL', 'postgres://me:pa55@pa55@db/orders', 'postgres://me:***@db/orders'],
    ['REDIS_URL', 'redis+cluster://:pa55@one:6379,two:6379', 'redis+cluster://:***@one:6379,two:6379'],
    ['REDIS_URL', 'redis+sentinel://me:pa55@one,me:pa55@two/master', 'redis+sentinel://me:***@two/master'],
    ['REDIS_URL', 'redis://cache/0#pa55', '***'],
    ['JWT_SECRET', 'https://pa55.pa55.pa55.pa55.pa55.pa55', '***'],
    ['ENCRYPTION_KEYS', 'k1:pa55', '***'],
  ])('has no secret of %s=%s', (name, text, shown) => {
    const found = describeConfig({ [name]: text }).find((variable) => variable.name === name);
    expect(found).toEqual({ name, value: shown, source: 'environment' });
  });

  it('masks whatever is secret, and nothing else', () => {
    const variables = Object.entries(schema) as [string, { secret?: boolean }][];
    const described = describeConfig(Object.fromEntries(variables.map(([name]) => [name, 'pa55'])));
    expect(described.map(({ name, value }) => [name, value])).toEqual(
      variables.map(([name, { secret }]) => [name, secret ? '***' : 'pa55']),
    );
    for (const [name, { secret }] of variables) {
      if (/PASSWORD|SECRET|KEYS?$|(?<!^APP|^PUBLIC)_URL$|HEADERS$/.test(name))
        expect([name, secret]).toEqual([name, true]);
    }
  });
});

describe('a kept secret', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kept-secret-'));
    const { code } = transformFileSync(
      join(__dirname, '..', '..', '..', 'src', 'platform', 'config', 'kept-secret.ts'),
    );
    writeFileSync(join(folder, 'kept-secret.cjs'), code);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const ask = async (dataDir: string): Promise<string> => {
    const script = `console.log(require('./kept-secret.cjs').keptSecret(${JSON.stringify(dataDir)}, 'jwt-secret'))`;
    return (await promisify(execFile)(process.execPath, ['-e', script], { cwd: folder })).stdout.trim();
  };

  it('is one file, for its owner alone, also with concurrent writers', async () => {
    const dataDir = join(folder, 'data');
    const secrets = await Promise.all(Array.from({ length: 8 }, () => ask(dataDir)));
    expect(new Set(secrets).size).toBe(1);
    expect(secrets[0]).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(await ask(dataDir)).toBe(secrets[0]);
    expect(readdirSync(dataDir)).toEqual(['jwt-secret']);
    expect(statSync(join(dataDir, 'jwt-secret')).mode & 0o777).toBe(0o600);
  });

  it('is not made anew over an empty file', async () => {
    const dataDir = mkdtempSync(join(folder, 'empty-'));
    writeFileSync(join(dataDir, 'jwt-secret'), '');
    await expect(ask(dataDir)).rejects.toThrow(/jwt-secret is empty; restore it from a backup/);
  });
});

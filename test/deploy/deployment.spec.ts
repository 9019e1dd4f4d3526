import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../../src/platform/config/config';

interface Service {
  image?: string;
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: object;
  restart?: string;
  profiles?: string[];
  volumes?: string[];
  networks?: string[];
  stop_grace_period?: string;
  cap_drop?: string[];
  security_opt?: string[];
  env_file?: string;
  mem_limit?: string;
  pids_limit?: number;
  secrets?: string[];
  logging?: { options: Record<string, string> };
}

const read = (file: string): string => readFileSync(join(__dirname, '..', '..', file), 'utf8');

/** A `.env`, with passwords that a URL would have to encode. */
const DOT_ENV = {
  POSTGRES_PASSWORD: 'owner p@ss/w#rd?',
  SERVICE_DATABASE_PASSWORD: 'service p@ss/w#rd?',
  REDIS_PASSWORD: 'redis p@ss/w#rd?',
  JWT_SECRET: 'secret'.repeat(8),
};

/** The environment as compose gives it to a service: all of `.env`, overridden by the file. */
function resolved(service: Service = {}, more: Record<string, string> = {}): Record<string, string> {
  const dotEnv: Record<string, string> = { ...DOT_ENV, ...more };
  const said = Object.entries(service.environment ?? {}).map(([name, value]) => [
    name,
    value
      .replace(/\$\{(\w+):\?[^}]*\}/g, (_, of: string) => dotEnv[of] ?? '')
      .replace(/\$\{(\w+):-\$\{(\w+):-([^}]*)\}\}/g, (_, a: string, b: string, otherwise: string) => {
        return dotEnv[a] ?? dotEnv[b] ?? otherwise;
      })
      .replace(/\$\{(\w+):-([^}]*)\}/g, (_, of: string, otherwise: string) => dotEnv[of] ?? otherwise),
  ]);
  return { ...(service.env_file === '.env' ? dotEnv : {}), ...(Object.fromEntries(said) as Record<string, string>) };
}

describe('docker-compose.yml', () => {
  const text = read('docker-compose.yml');
  const { services } = parse(text, { merge: true }) as { services: Record<string, Service> };
  const ours = ['api', 'worker', 'migrate'].map((name) => [name, services[name] as Service] as const);

  it.each(ours)('gives the %s a configuration that it can start with', (name, service) => {
    expect(service.command).toEqual([name]);
    const environment = resolved(service);
    const config = loadConfig(environment);
    const url = new URL(config.DATABASE_URL as string);
    expect([url.username, url.host]).toEqual(['app_service', 'postgres:5432']);
    expect(decodeURIComponent(url.password)).toBe(DOT_ENV.SERVICE_DATABASE_PASSWORD);
    if (name !== 'migrate') expect(config.REDIS_URL).toContain(encodeURIComponent(DOT_ENV.REDIS_PASSWORD));
    // Every process reads all of .env, and no process but migrate the owner's password.
    expect(Object.values(environment).includes(DOT_ENV.POSTGRES_PASSWORD)).toBe(name === 'migrate');
    expect(config.MIGRATION_DATABASE_URL !== undefined).toBe(name === 'migrate');
    const { SHUTDOWN_DELAY, SHUTDOWN_TIMEOUT } = config;
    expect(parseInt(service.stop_grace_period ?? '', 10) * 1000).toBeGreaterThan(SHUTDOWN_DELAY + SHUTDOWN_TIMEOUT);
  });

  it.each(ours)('lets every variable of .env reach the %s, but for those that the others rely on', (_, service) => {
    const given = {
      LOG_LEVEL: 'warn',
      WEBHOOK_ALLOW_CIDRS: '10.0.0.0/8',
      DB_POOL_SIZE: '7',
      PORT: '9',
      QUEUE_UI_PORT: '9',
    };
    expect(loadConfig(resolved(service, given))).toMatchObject({
      LOG_LEVEL: 'warn',
      WEBHOOK_ALLOW_CIDRS: ['10.0.0.0/8'],
      DB_POOL_SIZE: 7,
      PORT: 3000,
      HOST: '0.0.0.0',
    });
    expect(loadConfig(resolved(service, given)).QUEUE_UI_PORT).toBeUndefined();
  });

  it('bounds the log, the memory and the processes of each container, and takes its rights', () => {
    for (const [name, service] of Object.entries(services)) {
      expect([name, service.logging?.options]).toEqual([name, { 'max-size': '10m', 'max-file': '5' }]);
      expect([name, service.mem_limit, service.pids_limit]).toEqual([name, expect.any(String), expect.any(Number)]);
      expect([name, service]).toEqual([
        name,
        expect.objectContaining({ cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }),
      ]);
    }
    expect(services.postgres).toMatchObject({ stop_grace_period: '2m', shm_size: '256m' });
  });

  it('gives PostgreSQL and Redis their passwords as files, and not in their environment', () => {
    const { secrets } = parse(text) as { secrets: Record<string, object> };
    for (const [name, variable] of [
      ['postgres', 'POSTGRES_PASSWORD'],
      ['redis', 'REDIS_PASSWORD'],
    ] as const) {
      const service = services[name] as Service;
      expect([name, secrets[`${name}-password`], service.secrets]).toEqual([
        name,
        { environment: variable },
        [`${name}-password`],
      ]);
      expect(service.env_file).toBeUndefined();
      expect(Object.values(resolved(service))).not.toContain(DOT_ENV[variable]);
      const uses = JSON.stringify([service.command, service.environment, service.healthcheck]);
      expect(uses).toContain(`/run/secrets/${name}-password`);
    }
  });

  it('starts with a login for sign-in where .env has one', () => {
    const given = { SIGN_IN_DATABASE_URL: 'postgres://app_sign_in:p%40ss@postgres:5432/orders' };
    for (const [, service] of ours) {
      expect(loadConfig(resolved(service, given)).SIGN_IN_DATABASE_URL).toBe(given.SIGN_IN_DATABASE_URL);
    }
  });

  it('names no password on a command line, and nothing that engines before 25 refuse', () => {
    expect(text).not.toContain('start_interval');
    expect(JSON.stringify(services.redis?.command)).not.toMatch(/\$\{/);
    for (const { healthcheck } of Object.values(services)) {
      if (healthcheck) expect(healthcheck).toMatchObject({ start_period: '60s' });
    }
  });

  it('has the operator’s commands in a profile, with the owner’s login beside the service’s', () => {
    expect(services.admin).toMatchObject({
      entrypoint: ['node', 'dist/src/main.js', 'admin'],
      profiles: ['admin'],
      restart: 'no',
    });
    expect(loadConfig(resolved(services.admin))).toMatchObject({
      DATABASE_URL: expect.stringMatching(/^postgres:\/\/app_service:/),
      MIGRATION_DATABASE_URL: expect.stringMatching(/^postgres:\/\/orders_owner:/),
      JWT_SECRET: expect.any(String),
    });
  });

  it('starts each after its dependencies', () => {
    for (const name of ['api', 'worker']) {
      expect(services[name]?.depends_on).toEqual({
        migrate: { condition: 'service_completed_successfully' },
        postgres: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    }
    expect(services.migrate?.depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    expect(services.migrate?.restart).toBe('no');
    for (const name of ['api', 'worker', 'postgres', 'redis']) expect(services[name]).toHaveProperty('healthcheck');
  });

  it('publishes the API alone unless profiles add more, and everything on loopback', () => {
    const published = Object.entries(services).flatMap(([name, { ports = [], profiles = [] }]) =>
      ports.map((port) => ({ name, port, profiles })),
    );
    expect(published.filter(({ profiles }) => profiles.length === 0).map(({ name }) => name)).toEqual(['api']);
    for (const { port } of published) {
      expect(port).toMatch(/^(127\.0\.0\.1|\$\{PROXY_INTERFACE:-127\.0\.0\.1\}):\$\{\w+:-\d+\}:\d+$/);
    }
    const taken = published.map(({ port }) => /:-(\d+)\}:\d+$/.exec(port)?.[1]);
    expect(new Set(taken).size).toBe(taken.length);
  });

  it('pins every image that is not built here', () => {
    for (const [name, { image = '' }] of Object.entries(services)) {
      const pinned =
        /^(postgres:\d+\.\d+-bookworm|redis:\d+\.\d+\.\d+-bookworm|[\w./-]+:v?\d+\.\d+\.\d+|orders-saas-api:\$\{IMAGE_TAG:-local\})$/;
      expect([name, image]).toEqual([name, expect.stringMatching(pinned)]);
    }
  });

  it('has no secret of its own, and every one in .env.example', () => {
    const wanted = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name);
    const example = read('.env.example');
    for (const name of new Set(wanted)) expect(example).toMatch(new RegExp(`^${name}=$`, 'm'));
    const values = Object.values(services).flatMap(({ environment = {} }) => Object.entries(environment));
    for (const [name, value] of values) {
      if (name === 'QUEUE_UI_PASSWORD') expect(value).toBe('${QUEUE_UI_PASSWORD:-}');
      else if (value === '' || value.startsWith('/run/secrets/') || /^\w+:\/\/\w+@?[^:]*:\d+/.test(value)) continue;
      else if (/PASS|SECRET|^(?!GF_).*AUTH|_URL/.test(name))
        expect([name, value]).toEqual([name, expect.stringContaining(':?')]);
    }
  });
});

describe('the profiles of docker-compose.yml', () => {
  const { services } = parse(read('docker-compose.yml'), { merge: true }) as { services: Record<string, Service> };
  const of = (profile: string): string[] =>
    Object.keys(services).filter((name) => services[name]?.profiles?.includes(profile));

  it('are observability, tools and proxy, with no more rights than they need', () => {
    const exporters = ['postgres-exporter', 'redis-exporter', 'node-exporter'];
    expect(of('observability')).toEqual(['prometheus', 'alertmanager', ...exporters, 'grafana', 'collector', 'mail']);
    expect(of('tools')).toEqual(['queue-ui', 'mail']);
    expect(of('proxy')).toEqual(['proxy']);
    for (const name of [...of('observability'), ...of('tools')]) {
      expect(services[name]).toMatchObject({ cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
      if (name === 'queue-ui' || exporters.includes(name)) continue;
      expect(services[name]?.networks).not.toContain('data');
    }
  });

  it('take traces where they are sent', () => {
    const endpoint = /^#OTEL_EXPORTER_OTLP_ENDPOINT=(.+)$/m.exec(read('.env.example'))?.[1] ?? '';
    expect(of('observability')).toContain(new URL(endpoint).hostname);
    for (const name of ['api', 'worker']) {
      const given = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
      expect(loadConfig(resolved(services[name], given)).OTEL_EXPORTER_OTLP_ENDPOINT).toBe(endpoint);
      expect(loadConfig(resolved(services[name])).OTEL_EXPORTER_OTLP_ENDPOINT).toBeUndefined();
    }
  });

  it('protect the queue UI by a password, which has no default', () => {
    const queue = services['queue-ui'] as Service;
    expect(queue.command).toEqual(['worker']);
    expect(() => loadConfig(resolved(queue))).toThrow(/QUEUE_UI_PASSWORD/);
    const config = loadConfig(resolved(queue, { QUEUE_UI_PASSWORD: 'a password of theirs' }));
    expect(queue.ports).toEqual([expect.stringMatching(new RegExp(`:${config.QUEUE_UI_PORT}$`))]);
    expect(read('.env.example')).toMatch(/^#QUEUE_UI_PASSWORD=$/m);
  });

  it('mount the files of deploy/', () => {
    for (const name of of('observability')) {
      for (const volume of services[name]?.volumes ?? []) {
        const [from = ''] = volume.split(':');
        if (!from.startsWith('.')) continue;
        expect([volume, existsSync(join(__dirname, '..', '..', from))]).toEqual([volume, true]);
        expect(volume).toMatch(/:ro$/);
      }
    }
    interface Scrape {
      static_configs?: { targets: string[] }[];
      dns_sd_configs?: { names: string[]; port: number }[];
    }
    const { scrape_configs, alerting } = parse(read('deploy/prometheus/prometheus.yml')) as {
      scrape_configs: Scrape[];
      alerting: { alertmanagers: Scrape[] };
    };
    // Every process of the service, whatever their number: a leader that is not scraped looks like a missing leader.
    expect(scrape_configs[0]?.dns_sd_configs).toEqual([
      { names: ['api', 'worker', 'queue-ui'], type: 'A', port: 9464, refresh_interval: '15s' },
    ]);
    const names = [...scrape_configs, ...alerting.alertmanagers].flatMap(({ static_configs, dns_sd_configs }) => [
      ...(static_configs ?? []).flatMap(({ targets }) => targets.map((target) => target.split(':')[0] as string)),
      ...(dns_sd_configs ?? []).flatMap((discovery) => discovery.names),
    ]);
    expect(names).toHaveLength(7);
    for (const name of names)
      expect([name, services[name]?.networks]).toEqual([name, expect.arrayContaining(['observability'])]);
    const { receivers } = parse(read('deploy/alertmanager/alertmanager.yml')) as { receivers: { name: string }[] };
    expect(receivers.map(({ name }) => name)).toEqual(['mail']);
    expect(services.mail?.networks).toContain('observability');
    const { providers } = parse(read('deploy/grafana/provisioning/dashboards/dashboards.yml')) as {
      providers: { options: { path: string } }[];
    };
    expect(services.grafana?.volumes).toContain(`./deploy/grafana/dashboards:${providers[0]?.options.path}:ro`);
    const { datasources } = parse(read('deploy/grafana/provisioning/datasources/datasources.yml')) as {
      datasources: { url: string }[];
    };
    for (const { url } of datasources) {
      const { hostname, port } = new URL(url);
      expect(of('observability')).toContain(hostname);
      expect(services[hostname]?.ports?.[0]).toMatch(new RegExp(`:${port}$`));
    }
  });

  it('put a proxy in front whose address alone is believed', () => {
    const proxy = services.proxy as unknown as { networks: { edge: { ipv4_address: string } } };
    const address = '${EDGE_PROXY_ADDRESS:-10.250.31.2}';
    expect(proxy.networks.edge.ipv4_address).toBe(address);
    expect(loadConfig(resolved(services.api)).TRUST_PROXY).toBe('10.250.31.2');
    expect(loadConfig(resolved(services.api, { TRUST_PROXY: '1' })).TRUST_PROXY).toBe('1');
    expect(services.api?.networks).toContain('edge');
    const caddyfile = read('deploy/caddy/Caddyfile');
    expect(caddyfile).toMatch(/dynamic a \{\s+name api\s+port 3000/);
    expect(caddyfile).toContain('header_up X-Forwarded-For {remote_host}');
    expect(caddyfile).not.toMatch(/health|metrics(?! are)/i.exec(caddyfile.replace(/#.*/g, ''))?.[0] ?? '/health');
  });

  it('have no password: Grafana shows dashboards and has no sign-in', () => {
    expect(services.grafana?.environment).toMatchObject({
      GF_AUTH_ANONYMOUS_ORG_ROLE: 'Viewer',
      GF_AUTH_BASIC_ENABLED: 'false',
      GF_AUTH_DISABLE_LOGIN_FORM: 'true',
      GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: 'true',
    });
  });
});

describe('the Dockerfile', () => {
  const text = read('Dockerfile');

  it('leaves out development, and runs as an unprivileged user', () => {
    const [, ...stages] = text.split(/^FROM /m);
    const last = stages[stages.length - 1] as string;
    expect(stages).toEqual(stages.map(() => expect.stringMatching(/^node:\d+-bookworm-slim/)));
    expect(last).toMatch(/^USER node$/m);
    expect(last).not.toMatch(/^RUN npm/m);
    // Of the stage with the development packages, only the files that scripts/image.mjs selected are copied.
    expect([...last.matchAll(/^COPY (.+)$/gm)].map(([, what]) => what)).toEqual(['--from=build /image ./']);
  });

  it('has a check of health that works for api and worker', () => {
    expect(text).toMatch(/^HEALTHCHECK .*\\\n {2}CMD \[.*process\.env\.PORT.*\/health\/live/m);
    expect(text).toMatch(/^ENV .*\bPORT=3000\b/m);
  });

  it('names its contents and commit in the labels of the OCI', () => {
    for (const label of ['title', 'description', 'version', 'revision', 'created', 'source', 'licenses', 'base.name']) {
      expect(text).toMatch(new RegExp(`org\\.opencontainers\\.image\\.${label.replace('.', '\\.')}="`));
    }
  });

  it('copies only what .dockerignore lets through', () => {
    const sent = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources]) =>
      (sources as string).split(' '),
    );
    expect([...new Set(copied)].sort()).toEqual([...sent].sort());
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../../src/platform/config/config';
import { schema } from '../../src/platform/config/schema';

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
}

const read = (file: string): string => readFileSync(join(__dirname, '..', '..', file), 'utf8');

/** The environment as compose gives it to a service, with every variable of `.env` set. */
function resolved(environment: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replace(/\$\{\w+:\?[^}]*\}/g, 'secret'.repeat(8)).replace(/\$\{\w+:-([^}]*)\}/g, '$1'),
    ]),
  );
}

describe('docker-compose.yml', () => {
  const text = read('docker-compose.yml');
  const { services } = parse(text, { merge: true }) as { services: Record<string, Service> };
  const ours = ['api', 'worker', 'migrate'].map((name) => [name, services[name] as Service] as const);

  it.each(ours)('gives the %s a configuration that it can start with', (name, service) => {
    expect(service.command).toEqual([name]);
    const environment = resolved(service.environment);
    for (const variable of Object.keys(environment)) expect(Object.keys(schema)).toContain(variable);
    expect(loadConfig(environment).DATABASE_URL).toMatch(/^postgres:\/\/app_service:/);
    expect(environment.MIGRATION_DATABASE_URL !== undefined).toBe(name === 'migrate');
    const { SHUTDOWN_DELAY, SHUTDOWN_TIMEOUT } = loadConfig(environment);
    expect(parseInt(service.stop_grace_period ?? '', 10) * 1000).toBeGreaterThan(SHUTDOWN_DELAY + SHUTDOWN_TIMEOUT);
  });

  it('has the operator’s commands for who asks for them, with the owner’s login beside the service’s', () => {
    expect(services.admin).toMatchObject({
      entrypoint: ['node', 'dist/src/main.js', 'admin'],
      profiles: ['admin'],
      restart: 'no',
    });
    const environment = resolved(services.admin?.environment);
    expect(loadConfig(environment)).toMatchObject({
      DATABASE_URL: expect.stringMatching(/^postgres:\/\/app_service:/),
      MIGRATION_DATABASE_URL: expect.stringMatching(/^postgres:\/\/orders_owner:/),
      JWT_SECRET: expect.any(String),
    });
  });

  it('starts each when what it needs is there', () => {
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

  it('publishes the API alone unless it is asked for more, and everything on loopback', () => {
    const published = Object.entries(services).flatMap(([name, { ports = [], profiles = [] }]) =>
      ports.map((port) => ({ name, port, profiles })),
    );
    expect(published.filter(({ profiles }) => profiles.length === 0).map(({ name }) => name)).toEqual(['api']);
    for (const { port } of published) expect(port).toMatch(/^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$/);
    const taken = published.map(({ port }) => /:-(\d+)\}/.exec(port)?.[1]);
    expect(new Set(taken).size).toBe(taken.length);
  });

  it('pins every image that is not built here', () => {
    for (const [name, { image = '' }] of Object.entries(services)) {
      const pinned =
        /^(postgres:\d+\.\d+-bookworm|redis:\d+\.\d+\.\d+-bookworm|[\w./-]+:v?\d+\.\d+\.\d+|orders-saas-api:local)$/;
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
      else if (/PASSWORD|SECRET|^(?!GF_).*AUTH|_URL/.test(name))
        expect([name, value]).toEqual([name, expect.stringContaining(':?')]);
    }
  });
});

describe('the profiles of docker-compose.yml', () => {
  const { services } = parse(read('docker-compose.yml'), { merge: true }) as { services: Record<string, Service> };
  const of = (profile: string): string[] =>
    Object.keys(services).filter((name) => services[name]?.profiles?.includes(profile));

  it('are observability and tools, with no more rights than they need', () => {
    expect(of('observability')).toEqual(['prometheus', 'grafana', 'collector']);
    expect(of('tools')).toEqual(['queue-ui', 'mail']);
    for (const name of [...of('observability'), ...of('tools')]) {
      expect(services[name]).toMatchObject({ cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
      if (name !== 'queue-ui') expect(services[name]?.networks).not.toContain('data');
    }
  });

  it('take traces where they are sent', () => {
    const endpoint = /^#OTEL_EXPORTER_OTLP_ENDPOINT=(.+)$/m.exec(read('.env.example'))?.[1] ?? '';
    expect(of('observability')).toContain(new URL(endpoint).hostname);
    for (const name of ['api', 'worker']) {
      const environment = services[name]?.environment;
      expect(environment).toMatchObject({ OTEL_EXPORTER_OTLP_ENDPOINT: '${OTEL_EXPORTER_OTLP_ENDPOINT:-}' });
      expect(loadConfig(resolved(environment)).OTEL_EXPORTER_OTLP_ENDPOINT).toBeUndefined();
    }
  });

  it('show the queue to who has a password, which has no default', () => {
    const queue = services['queue-ui'] as Service;
    expect(queue.command).toEqual(['worker']);
    expect(() => loadConfig(resolved(queue.environment))).toThrow(/QUEUE_UI_PASSWORD/);
    const config = loadConfig({ ...resolved(queue.environment), QUEUE_UI_PASSWORD: 'a password of theirs' });
    expect(queue.ports).toEqual([expect.stringMatching(new RegExp(`:${config.QUEUE_UI_PORT}$`))]);
    expect(read('.env.example')).toMatch(/^#QUEUE_UI_PASSWORD=$/m);
  });

  it('bring what is in deploy/', () => {
    for (const name of of('observability')) {
      for (const volume of services[name]?.volumes ?? []) {
        const [from = ''] = volume.split(':');
        if (!from.startsWith('.')) continue;
        expect([volume, existsSync(join(__dirname, '..', '..', from))]).toEqual([volume, true]);
        expect(volume).toMatch(/:ro$/);
      }
    }
    const { scrape_configs } = parse(read('deploy/prometheus/prometheus.yml')) as {
      scrape_configs: { static_configs: { targets: string[]; labels: { role: string } }[] }[];
    };
    const targets = scrape_configs.flatMap(({ static_configs }) => static_configs);
    expect(targets).toEqual(['api', 'worker'].map((role) => ({ targets: [`${role}:9464`], labels: { role } })));
    for (const { labels } of targets) expect(services[labels.role]?.networks).toContain('observability');
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

  it('have no password: Grafana lets look and lets nobody sign in', () => {
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

  it('leaves out development, and runs as nobody special', () => {
    const [, ...stages] = text.split(/^FROM /m);
    const last = stages[stages.length - 1] as string;
    expect(stages).toEqual(stages.map(() => expect.stringMatching(/^node:\d+-bookworm-slim/)));
    expect(last).toMatch(/^USER node$/m);
    expect(last).not.toMatch(/^RUN npm/m);
    expect(text).toMatch(/^RUN npm ci --omit=dev --ignore-scripts/m);
  });

  it('has a check of health that api and worker both answer', () => {
    expect(text).toMatch(/^HEALTHCHECK .*\\\n {2}CMD \[.*process\.env\.PORT.*\/health\/live/m);
    expect(text).toMatch(/^ENV .*\bPORT=3000\b/m);
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

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../src/platform/config/config';
import { schema } from '../src/platform/config/schema';

interface Service {
  image?: string;
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: object;
  restart?: string;
}

const read = (file: string): string => readFileSync(join(__dirname, '..', file), 'utf8');

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

  it('publishes the API alone, on loopback', () => {
    const published = Object.entries(services).flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]));
    expect(published).toEqual([['api', expect.stringMatching(/^127\.0\.0\.1:/)]]);
  });

  it('has no secret of its own, and every one in .env.example', () => {
    const wanted = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name);
    const example = read('.env.example');
    for (const name of new Set(wanted)) expect(example).toMatch(new RegExp(`^${name}=$`, 'm'));
    const values = Object.values(services).flatMap(({ environment = {} }) => Object.entries(environment));
    for (const [name, value] of values) {
      if (/PASSWORD|SECRET|AUTH|_URL/.test(name)) expect([name, value]).toEqual([name, expect.stringContaining(':?')]);
    }
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

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Certificate } from './certificates';
import { freePort } from './redis';
import { until } from './until';

const PASSWORD = 'redis-password-of-the-tests';
const SLOTS = 16_384;

/** Several redis-server processes that make one Redis, of which one can be killed. */
export interface RedisTopology {
  url: string;
  /** Ends the server that holds this key now, without warning; another takes over. Gives the port it had. */
  killMasterOf(key: string): Promise<number>;
  /** The port of the server that holds this key now. */
  masterOf(key: string): Promise<number>;
  /** Keys that match, on all servers that live. */
  keys(pattern: string): Promise<string[]>;
  /** The scripts and blocking reads of queues that all living servers have carried out so far. */
  queueCommands(): Promise<number>;
  stop(): Promise<void>;
}

interface Server {
  port: number;
  client: Redis;
  child: ChildProcess;
}

/** Servers of one kind: without encryption, or with TLS alone, for their clients and among themselves. */
class Servers {
  readonly folder = mkdtempSync(join(tmpdir(), 'orders-redis-servers-'));
  readonly all: Server[] = [];
  /** The name that servers announce: a certificate of the tests is not valid for an address. */
  readonly host: string;

  constructor(private readonly tls?: Certificate) {
    this.host = tls ? 'localhost' : '127.0.0.1';
  }

  /** The beginning and the end of a `REDIS_URL` for servers of this kind. */
  urlOf(form: string, ports: number[], path = ''): string {
    const hosts = ports.map((port) => `${this.host}:${port}`).join(',');
    const query = this.tls ? `?cacert=${this.tls.authority}` : '';
    return `redis${this.tls ? 's' : ''}+${form}://:${PASSWORD}@${hosts}${path}${query}`;
  }

  /** Starts a server and waits until it replies. */
  async start(port: number, args: string[], password: string | undefined = PASSWORD): Promise<Server> {
    const dir = join(this.folder, String(port));
    mkdirSync(dir, { recursive: true });
    const address = ['--bind', '127.0.0.1', '--dir', dir, ...this.portOptions(port)];
    const child = spawn('redis-server', [...args, ...address], { stdio: 'ignore' });
    const tls = this.tls && { ca: readFileSync(this.tls.authority) };
    const client = new Redis({ port, host: this.host, password, retryStrategy: () => 50, ...(tls ? { tls } : {}) });
    client.on('error', () => undefined);
    const server = { port, client, child };
    this.all.push(server);
    await until(`the Redis on ${port}`, () => client.ping().then((pong) => pong === 'PONG'), 20_000);
    return server;
  }

  private portOptions(port: number): string[] {
    if (!this.tls) return ['--port', String(port)];
    const { certificate, key, authority } = this.tls;
    return [
      ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-replication', 'yes'],
      ...['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', authority],
    ];
  }

  /** Ends one without warning. */
  async kill({ child, client }: Server): Promise<void> {
    client.disconnect();
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  get living(): Server[] {
    return this.all.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  }

  at(port: number): Server {
    return this.all.find((server) => server.port === port) as Server;
  }

  async keys(pattern: string): Promise<string[]> {
    const found = await Promise.all(this.living.map(({ client }) => client.keys(pattern).catch(() => [])));
    return [...new Set(found.flat())];
  }

  async queueCommands(): Promise<number> {
    const stats = await Promise.all(this.living.map(({ client }) => client.info('commandstats').catch(() => '')));
    const calls = [...stats.join('\n').matchAll(/cmdstat_(?:evalsha|eval|bzpopmin):calls=(\d+)/g)];
    return calls.reduce((sum, [, count]) => sum + Number(count), 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((server) => this.kill(server)));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function dataOptions(password = PASSWORD): string[] {
  return ['--save', '', '--appendonly', 'no', '--requirepass', password, '--masterauth', password];
}

/** A cluster of three masters, each with a part of the slots and a replica that takes over if its master dies. */
export async function startRedisCluster(tls?: Certificate): Promise<RedisTopology> {
  const servers = new Servers(tls);
  const names = ['--cluster-announce-hostname', servers.host, '--cluster-preferred-endpoint-type', 'hostname'];
  const buses = new Map<number, number>();
  for (let i = 0; i < 6; i++) {
    const [port, bus] = [await freePort(), await freePort()];
    buses.set(port, bus);
    await servers.start(port, [
      ...dataOptions(),
      ...['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '1500'],
      ...(tls ? ['--tls-cluster', 'yes', ...names] : []),
    ]);
  }
  const [first, ...others] = servers.all as [Server, ...Server[]];
  for (const { port } of others)
    await first.client.call('CLUSTER', 'MEET', '127.0.0.1', port, buses.get(port) as number);
  const masters = servers.all.slice(0, 3);
  for (const [index, { client }] of masters.entries()) {
    const from = Math.floor((index * SLOTS) / 3);
    await client.call('CLUSTER', 'ADDSLOTSRANGE', from, Math.floor(((index + 1) * SLOTS) / 3) - 1);
  }
  const known = async (): Promise<boolean> => {
    const infos = await Promise.all(servers.all.map(({ client }) => client.call('CLUSTER', 'INFO') as Promise<string>));
    return infos.every((info) => /cluster_state:ok/.test(info) && /cluster_known_nodes:6\b/.test(info));
  };
  await until('the nodes to know each other', known, 30_000);
  for (const [index, { client }] of masters.entries()) {
    const id = (await client.call('CLUSTER', 'MYID')) as string;
    await (servers.all[index + 3] as Server).client.call('CLUSTER', 'REPLICATE', id);
  }
  await until(
    'the replicas to follow',
    async () => {
      const infos = await Promise.all(servers.all.slice(3).map(({ client }) => client.info('replication')));
      return infos.every((info) => info.includes('master_link_status:up'));
    },
    30_000,
  );

  async function masterOf(key: string): Promise<number> {
    const [{ client }] = servers.living as [Server];
    const slot = (await client.call('CLUSTER', 'KEYSLOT', key)) as number;
    const ranges = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const range = ranges.find(([from, to]) => slot >= from && slot <= to);
    return (range as (typeof ranges)[number])[2][1];
  }

  return {
    url: servers.urlOf(
      'cluster',
      masters.map(({ port }) => port),
    ),
    masterOf,
    async killMasterOf(key) {
      const port = await masterOf(key);
      await servers.kill(servers.at(port));
      return port;
    },
    keys: (pattern) => servers.keys(pattern),
    queueCommands: () => servers.queueCommands(),
    stop: () => servers.stop(),
  };
}

/** A master and its replica, watched by three sentinels, which make the replica the master when it dies. */
export async function startRedisSentinels(tls?: Certificate): Promise<RedisTopology> {
  const servers = new Servers(tls);
  const { host } = servers;
  const announced = ['--replica-announce-ip', host];
  const master = await servers.start(await freePort(), [...dataOptions(), ...announced]);
  const replica = await servers.start(await freePort(), [
    ...dataOptions(),
    ...announced,
    ...['--replicaof', `${host} ${master.port}`],
  ]);
  await until('the replica to follow', async () =>
    (await replica.client.info('replication')).includes('master_link_status:up'),
  );
  const sentinels: Server[] = [];
  for (let i = 0; i < 3; i++) {
    const port = await freePort();
    // A sentinel writes its state into its configuration, which is therefore a file of its own.
    const file = join(servers.folder, `sentinel-${port}.conf`);
    writeFileSync(
      file,
      [
        'sentinel resolve-hostnames yes',
        'sentinel announce-hostnames yes',
        `sentinel announce-ip ${host}`,
        `sentinel monitor orders ${host} ${master.port} 2`,
        `sentinel auth-pass orders ${PASSWORD}`,
        'sentinel down-after-milliseconds orders 1000',
        'sentinel failover-timeout orders 5000',
      ].join('\n'),
    );
    sentinels.push(await servers.start(port, [file, '--sentinel'], ''));
  }
  await until('the sentinels to know each other', async () => {
    const infos = await Promise.all(sentinels.map(({ client }) => client.info('sentinel')));
    return infos.every((info) => info.includes('slaves=1,sentinels=3'));
  });

  async function masterOf(): Promise<number> {
    const [, port] = (await (sentinels[0] as Server).client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'orders')) as [
      string,
      string,
    ];
    return Number(port);
  }

  return {
    url: servers.urlOf(
      'sentinel',
      sentinels.map(({ port }) => port),
      '/orders',
    ),
    masterOf,
    async killMasterOf() {
      const port = await masterOf();
      await servers.kill(servers.at(port));
      return port;
    },
    keys: (pattern) => servers.keys(pattern),
    queueCommands: () => servers.queueCommands(),
    stop: () => servers.stop(),
  };
}

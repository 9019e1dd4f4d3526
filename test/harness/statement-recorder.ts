import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { RecordedStatement } from './statements';

const APPLICATION = 'orders-saas-api';
const SSL_REQUEST = 80_877_103;
const SETTINGS = /^select set_config\(/i;
const INSPECTED = /^\s*(select|insert|update|delete|with)\b/i;

/**
 * Reads PostgreSQL's protocol on its way to a server, and records the statements of the service's own connections with
 * their role.
 */
export class StatementRecorder {
  private readonly seen = new Map<string, Omit<RecordedStatement, 'parameters' | 'results'>>();
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** Listens on a port of its own and passes everything on. */
  static async start(target: URL): Promise<StatementRecorder> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const recorder = new StatementRecorder(server, (server.address() as AddressInfo).port);
    server.on('connection', (client) => recorder.join(client, connect(Number(target.port), target.hostname)));
    return recorder;
  }

  /** The statements so far, each text once for each role. */
  statements(): Omit<RecordedStatement, 'parameters' | 'results'>[] {
    return [...this.seen.values()].sort((a, b) => compare(a.name, b.name) || compare(a.text, b.text));
  }

  stop(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private join(client: Socket, upstream: Socket): void {
    const session = new Session((role, name, text) => {
      if (INSPECTED.test(text) && !name.startsWith('test_')) this.seen.set(`${role} ${text}`, { role, name, text });
    });
    client.on('data', (chunk) => session.read(chunk as Buffer));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.sockets.add(from);
      from.setNoDelay(true).pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
    }
  }
}

/** The state of one connection's client. */
class Session {
  private buffer = Buffer.alloc(0);
  private started = false;
  private ours = false;
  private user = '';
  /** Of a transaction that BEGIN opened, until its end; of a pipelined one, until its Sync. */
  private blockRole?: string;
  private pipelinedRole?: string;
  private readonly texts = new Map<string, string>();

  constructor(private readonly onStatement: (role: string, name: string, text: string) => void) {}

  read(chunk: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, chunk]);
    for (;;) {
      const header = this.started ? 1 : 0;
      if (this.buffer.length < header + 4) return;
      const end = header + this.buffer.readInt32BE(header);
      if (this.buffer.length < end) return;
      const body = this.buffer.subarray(header + 4, end);
      if (this.started) this.message(String.fromCharCode(this.buffer[0] as number), body);
      else this.startup(body);
      this.buffer = this.buffer.subarray(end);
    }
  }

  private startup(body: Buffer): void {
    if (body.readInt32BE(0) === SSL_REQUEST) return;
    this.started = true;
    const words = body.subarray(4).toString('utf8').split('\0');
    this.ours = words[words.indexOf('application_name') + 1] === APPLICATION;
    this.user = words[words.indexOf('user') + 1] as string;
  }

  private message(type: string, body: Buffer): void {
    if (!this.ours) return;
    if (type === 'Q') this.simple(text(body, 0));
    if (type === 'P') {
      const name = text(body, 0);
      this.texts.set(name, text(body, Buffer.byteLength(name) + 1));
    }
    if (type === 'B') this.bind(body);
    if (type === 'S') this.pipelinedRole = undefined;
  }

  private simple(query: string): void {
    if (/^BEGIN\b/i.test(query)) this.blockRole = /SET LOCAL role='([^']+)'/.exec(query)?.[1];
    else if (/^(COMMIT|ROLLBACK)$/i.test(query)) this.blockRole = undefined;
    else this.say('', query);
  }

  private bind(body: Buffer): void {
    const portal = text(body, 0);
    const name = text(body, Buffer.byteLength(portal) + 1);
    const query = this.texts.get(name) ?? '';
    if (!SETTINGS.test(query)) {
      this.say(name, query);
      return;
    }
    let at = Buffer.byteLength(portal) + Buffer.byteLength(name) + 2;
    at += 2 + 2 * body.readInt16BE(at);
    const values: string[] = [];
    for (let left = body.readInt16BE(at), from = at + 2; left > 0; left--) {
      const length = body.readInt32BE(from);
      values.push(body.subarray(from + 4, from + 4 + length).toString('utf8'));
      from += 4 + Math.max(length, 0);
    }
    const role = values.indexOf('role');
    if (role !== -1) this.pipelinedRole = values[role + 1];
  }

  private say(name: string, query: string): void {
    // Joined writes are numbered in their order.
    const lasting = name.startsWith('joined_') ? 'joined_writes' : name;
    this.onStatement(this.blockRole ?? this.pipelinedRole ?? this.user, lasting, query);
  }
}

/** The text that ends with a NUL. */
function text(body: Buffer, from: number): string {
  return body.subarray(from, body.indexOf(0, from)).toString('utf8');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

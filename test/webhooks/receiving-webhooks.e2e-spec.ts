import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseCidr } from '../../src/platform/net/cidrs';
import { schema } from '../../src/platform/config/schema';
import {
  createWebhookClient,
  type WebhookClient,
  type SendRequest,
} from '../../src/webhooks/http-client/webhook-client';
import { newSecret, newSigningKeyPair, sign } from '../../src/webhooks/http-client/signature';
import { until } from '../harness/until';

const ROOT = join(__dirname, '..', '..');
const DOCUMENT = readFileSync(join(ROOT, 'docs', 'receiving-webhooks.md'), 'utf8');
const EXAMPLES = join(ROOT, 'docs', 'examples', 'receivers');
const MINUTE = 60;

/** A receiver of the documentation, as a process of its own. */
interface Receiver {
  url: string;
  printed: () => string;
  stop(): Promise<void>;
}

interface Language {
  name: string;
  /** Whether its program is on this machine. */
  present: boolean;
  /** The program in `folder`, a copy of its example, ready to be started. */
  command(folder: string): [string, string[]];
  folder: string;
  /** Whether it verifies v1 signatures, or v1a, or either by the key. */
  verifies: readonly ('v1' | 'v1a')[];
}

const runs = (program: string, ...args: string[]) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** The Node receiver, with its import line changed as the document describes. */
const node = (name: string, module: string, verifies: Language['verifies']): Language => ({
  name,
  present: true,
  folder: 'node',
  verifies,
  command(folder) {
    const program = join(folder, 'receiver.mjs');
    const text = readFileSync(program, 'utf8');
    expect(text).toContain("'./verify.mjs'");
    writeFileSync(program, text.replace("'./verify.mjs'", `'./${module}'`));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    return [process.execPath, [program]];
  },
});

const LANGUAGES: Language[] = [
  node('Node.js by hand', 'verify.mjs', ['v1']),
  node('Node.js with standardwebhooks', 'verify-with-library.mjs', ['v1']),
  node('Node.js with ed25519', 'verify-ed25519.mjs', ['v1a']),
  {
    name: 'Python',
    present: runs('python3', '-c', 'import sqlite3, sys; sys.exit(sys.version_info < (3, 9))'),
    folder: 'python',
    verifies: ['v1'],
    command: (folder) => ['python3', [join(folder, 'receiver.py')]],
  },
  {
    name: 'Go',
    present: runs('go', 'version'),
    folder: 'go',
    verifies: ['v1', 'v1a'],
    command(folder) {
      const program = join(folder, 'receiver');
      execFileSync('go', ['build', '-o', program, join(folder, 'receiver.go')], { stdio: 'pipe' });
      return [program, []];
    },
  },
];

/** The programs that CI always has; the others are skipped there as on a contributor's machine. */
const CERTAIN_IN_CI = new Set(['Python']);

describe('docs/receiving-webhooks.md', () => {
  const files = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
    .map((file) => join(EXAMPLES, file))
    .filter((file) => statSync(file).isFile());
  const FENCES: Readonly<Record<string, string>> = { mjs: 'js', py: 'python', go: 'go' };

  it('has examples to show', () => expect(files.length).toBeGreaterThanOrEqual(6));

  it.each(files.map((file) => relative(EXAMPLES, file)))('shows %s as it is', (file) => {
    const fence = FENCES[file.split('.').pop() as string];
    expect(DOCUMENT).toContain(`\`\`\`${fence}\n${readFileSync(join(EXAMPLES, file), 'utf8')}\`\`\``);
    expect(DOCUMENT).toContain(`(examples/receivers/${file})`);
  });

  it('documents the schedule of retries in force', () =>
    expect(DOCUMENT).toContain(schema.WEBHOOK_RETRY_SCHEDULE.fallback));
});

for (const language of LANGUAGES) {
  const expected = language.present || (process.env.CI === 'true' && CERTAIN_IN_CI.has(language.name));
  if (!expected) {
    console.warn(`SKIPPED: the ${language.name} receiver of the documentation was not run: it is not on this machine`);
  }
  (expected ? describe : describe.skip)(`the ${language.name} receiver`, () => {
    let folder: string;
    let program: [string, string[]];
    let sender: WebhookClient;
    const running = new Set<Receiver>();

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'receiver-'));
      cpSync(join(EXAMPLES, language.folder), folder, { recursive: true });
      program = language.command(folder);
      sender = createWebhookClient({
        policy: { allowHttp: true, allowCidrs: ['127.0.0.0/8'].map(parseCidr) },
        timeout: 5_000,
      });
    });
    afterEach(async () => {
      for (const receiver of running) await receiver.stop();
      running.clear();
      rmSync(join(folder, 'inbox.db'), { force: true });
    });
    afterAll(async () => {
      await sender.close();
      rmSync(folder, { recursive: true, force: true });
    });

    async function start(key: string): Promise<Receiver> {
      const [file, args] = program;
      const child: ChildProcess = spawn(file, args, {
        cwd: folder,
        env: { PATH: process.env.PATH, HOME: process.env.HOME, WEBHOOK_SECRET: key, PORT: '0' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let printed = '';
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => (printed += data));
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const url = await until(
        'the receiver to listen',
        () => {
          if (child.exitCode !== null) throw new Error(`the receiver ended: ${printed}`);
          return /listening on (http:\S+)/.exec(printed)?.[1];
        },
        20_000,
      );
      const receiver = {
        url,
        printed: () => printed,
        async stop() {
          child.kill('SIGKILL');
          await ended;
        },
      };
      running.add(receiver);
      return receiver;
    }

    /** Sends as the service does; the given parts are changed after signing. */
    async function send(
      receiver: Receiver,
      secrets: readonly string[],
      change: Partial<SendRequest> = {},
      age = 0,
    ): Promise<number | undefined> {
      const signed = message({ age });
      const signature = sign({ ...signed, secrets });
      const outcome = await sender.send({ tenantId, url: receiver.url, ...signed, signature, ...change });
      expect(outcome.error).toBeUndefined();
      return outcome.status;
    }

    const tenantId = 'a-tenant';

    function message({ age = 0, eventId = randomUUID() } = {}) {
      // Spaces, escapes and letters that a parser would write in another way.
      const data = '{ "notes": "caf\\u00e9 ☕", "total_amount": "59.90", "n": 1.0 }';
      return {
        id: randomUUID(),
        timestamp: Math.floor(Date.now() / 1000) - age,
        body: Buffer.from(
          `{"id":"${eventId}","type":"order.created","timestamp":"2026-01-31T12:00:00.000Z","data":${data}}`,
        ),
        eventId,
      };
    }

    const kinds = language.verifies.map((version): [string, () => { shown: string; signing: string }] => [
      version,
      () => {
        if (version === 'v1') {
          const secret = newSecret();
          return { shown: secret, signing: secret };
        }
        const { publicKey, privateKey } = newSigningKeyPair();
        return { shown: publicKey, signing: privateKey };
      },
    ]);
    const lines = (text: string, start: string) => text.split('\n').filter((line) => line.startsWith(start));

    describe.each(kinds)('for %s', (_version, newKey) => {
      it('accepts and processes what the service sends', async () => {
        const key = newKey();
        const receiver = await start(key.shown);
        const { eventId, ...signed } = message();
        const signature = sign({ ...signed, secrets: [key.signing] });
        const outcome = await sender.send({ tenantId, url: receiver.url, ...signed, signature });
        expect(outcome).toMatchObject({ status: 204 });
        await until('the work', () => receiver.printed().includes(`processed order.created ${eventId}`));
      });

      it('refuses a wrong secret, a changed body, id or time, and what is too old or too new', async () => {
        const key = newKey();
        const receiver = await start(key.shown);
        const { signing } = key;
        expect(await send(receiver, [newKey().signing])).toBe(401);
        expect(await send(receiver, [signing], { body: message().body })).toBe(401);
        expect(await send(receiver, [signing], { id: randomUUID() })).toBe(401);
        expect(await send(receiver, [signing], { timestamp: Math.floor(Date.now() / 1000) - 1 })).toBe(401);
        expect(await send(receiver, [signing], {}, 5 * MINUTE + 2)).toBe(401);
        expect(await send(receiver, [signing], {}, -5 * MINUTE - 2)).toBe(401);
        expect(await send(receiver, [signing], { signature: 'v1,' })).toBe(401);
        expect(await send(receiver, [signing], { signature: 'v1a, v1,!! v2,AAAA' })).toBe(401);
        const unsigned = await fetch(receiver.url, { method: 'POST', body: message().body });
        expect(unsigned.status).toBe(401);
        expect(receiver.printed()).not.toContain('processed');
        // A message of a few minutes ago is accepted, and a refused one does no harm.
        expect(await send(receiver, [signing], {}, 4 * MINUTE)).toBe(204);
        await until('the work', () => receiver.printed().includes('processed'));
      });

      it('acknowledges a message that comes again, and processes it once', async () => {
        const key = newKey();
        const receiver = await start(key.shown);
        const { eventId, ...signed } = message({ age: 20 });
        for (const timestamp of [signed.timestamp, signed.timestamp + 10, signed.timestamp + 20]) {
          const signature = sign({ ...signed, timestamp, secrets: [key.signing] });
          const outcome = await sender.send({ tenantId, url: receiver.url, ...signed, timestamp, signature });
          expect(outcome.status).toBe(204);
        }
        await until('the work', () => receiver.printed().includes(`processed order.created ${eventId}`));
        await until('both duplicates', () => lines(receiver.printed(), `duplicate ${signed.id}`).length === 2);
        expect(lines(receiver.printed(), 'processed')).toHaveLength(1);
      });

      it('accepts what is signed with two secrets while they rotate, knowing either', async () => {
        const [old, next] = [newKey(), newKey()];
        for (const known of [old, next]) {
          const receiver = await start(known.shown);
          expect(await send(receiver, [next.signing, old.signing])).toBe(204);
          expect(await send(receiver, [newKey().signing, newKey().signing])).toBe(401);
        }
      });
    });

    if (language.name === 'Python') {
      it('recognizes after a restart the messages of before', async () => {
        const secret = newSecret();
        const { eventId, ...signed } = message();
        const request = { ...signed, signature: sign({ ...signed, secrets: [secret] }) };
        const first = await start(secret);
        expect((await sender.send({ tenantId, url: first.url, ...request })).status).toBe(204);
        await until('the work', () => first.printed().includes(`processed order.created ${eventId}`));
        await first.stop();
        const second = await start(secret);
        expect((await sender.send({ tenantId, url: second.url, ...request })).status).toBe(204);
        await until('the duplicate', () => second.printed().includes(`duplicate ${signed.id}`));
        expect(second.printed()).not.toContain('processed');
      });
    }
  });
}

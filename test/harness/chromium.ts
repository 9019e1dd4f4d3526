/** A real headless Chromium, driven over the DevTools protocol through a pipe: enough to open a page and use it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { until } from './until';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-pipe',
  '--window-size=1400,1200',
];

/** Where Chromium is on this machine (`CHROMIUM_PATH` first), or undefined. */
export function findChromium(): string | undefined {
  return [process.env.CHROMIUM_PATH ?? '', ...PLACES].find((path) => path !== '' && existsSync(path));
}

interface Message {
  id?: number;
  method?: string;
  sessionId?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** A running Chromium. */
export class Chromium {
  private readonly pending = new Map<number, { resolve(result: object): void; reject(error: Error): void }>();
  private readonly listeners: ((message: Message) => void)[] = [];
  private nextId = 1;
  private rest = '';
  private ended = false;

  private constructor(
    private readonly child: ChildProcess,
    private readonly profile: string,
  ) {
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => this.read(text));
    // Messages that are still in the pipes when Chromium stops do not matter.
    for (const pipe of child.stdio) pipe?.on('error', () => undefined);
    child.once('exit', () => {
      this.ended = true;
      for (const { reject } of this.pending.values()) reject(new Error('Chromium has ended'));
    });
  }

  static start(path: string): Chromium {
    const profile = mkdtempSync(join(tmpdir(), 'orders-chromium-'));
    const child = spawn(path, [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      detached: true, // a process group of its own, so that all of it can be ended
    });
    return new Chromium(child, profile);
  }

  /** A new tab, with everything it does written down. */
  async open(): Promise<Page> {
    const { targetId } = (await this.send('Target.createTarget', { url: 'about:blank' })) as { targetId: string };
    const { sessionId } = (await this.send('Target.attachToTarget', { targetId, flatten: true })) as {
      sessionId: string;
    };
    const page = new Page((method, params) => this.send(method, params, sessionId));
    this.listeners.push((message) => {
      if (message.sessionId === sessionId) page.note(message.method ?? '', message.params ?? {});
    });
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.send(`${domain}.enable`, {}, sessionId);
    return page;
  }

  /** Ends it with all of its processes, and deletes its profile. */
  async stop(): Promise<void> {
    const exit = new Promise<void>((resolve) => (this.ended ? resolve() : this.child.once('exit', () => resolve())));
    this.send('Browser.close', {}).catch(() => undefined);
    const patience = setTimeout(() => process.kill(-(this.child.pid as number), 'SIGKILL'), 5_000);
    await exit;
    clearTimeout(patience);
    await rm(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  private send(method: string, params: object, sessionId?: string): Promise<object> {
    if (this.ended) return Promise.reject(new Error('Chromium has ended'));
    const id = this.nextId++;
    (this.child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
  }

  private read(text: string): void {
    const messages = (this.rest + text).split('\0');
    this.rest = messages.pop() ?? '';
    for (const message of messages.map((json) => JSON.parse(json) as Message)) {
      const waiting = message.id === undefined ? undefined : this.pending.get(message.id);
      if (!waiting) this.listeners.forEach((listener) => listener(message));
      else if (message.error) waiting.reject(new Error(message.error.message));
      else waiting.resolve(message.result ?? {});
    }
  }
}

/** A tab: its requests, its errors, and functions to use it. */
export class Page {
  /** Every requested address. */
  readonly requests: string[] = [];
  /** Errors and warnings of the console, exceptions, violations of the policy, failed requests. */
  readonly faults: string[] = [];

  constructor(private readonly send: (method: string, params: object) => Promise<object>) {}

  note(method: string, params: Record<string, unknown>): void {
    if (method === 'Network.requestWillBeSent') this.requests.push((params.request as { url: string }).url);
    if (method === 'Runtime.exceptionThrown') this.faults.push(JSON.stringify(params.exceptionDetails));
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type as string)) {
      this.faults.push(JSON.stringify(params.args));
    }
    const entry = params.entry as { level?: string; text?: string; url?: string } | undefined;
    if (method === 'Log.entryAdded' && (entry?.level === 'error' || entry?.level === 'warning')) {
      this.faults.push(`${entry.text} ${entry.url ?? ''}`);
    }
    if (method === 'Network.loadingFailed') this.faults.push(JSON.stringify(params));
  }

  async go(url: string): Promise<void> {
    const { errorText } = (await this.send('Page.navigate', { url })) as { errorText?: string };
    if (errorText) throw new Error(`${url}: ${errorText}`);
  }

  /** The value of an expression in the page. */
  async value<T>(expression: string): Promise<T> {
    const answer = (await this.send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })) as {
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    const fault = answer.exceptionDetails;
    if (fault) throw new Error(`${expression}: ${fault.exception?.description ?? fault.text}`);
    return answer.result.value;
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    await until(expression, () => this.value<boolean>(`Boolean(${expression})`), 60_000);
  }

  async click(selector: string): Promise<void> {
    await this.until(`document.querySelector(${JSON.stringify(selector)})`);
    await this.value(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  /** Types into a field. */
  async type(selector: string, text: string): Promise<void> {
    await this.until(`document.querySelector(${JSON.stringify(selector)})`);
    await this.value(`document.querySelector(${JSON.stringify(selector)}).focus()`);
    await this.send('Input.insertText', { text });
  }

  /** A picture of the page, as PNG. */
  async picture(): Promise<Buffer> {
    const { data } = (await this.send('Page.captureScreenshot', {})) as { data: string };
    return Buffer.from(data, 'base64');
  }
}

import type { AddressInfo } from 'node:net';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';

/** A mail as it arrived. */
export interface Envelope {
  from: string;
  to: string[];
  mail: ParsedMail;
}

/** A real mail server in this process. */
export class MailServer {
  readonly received: Envelope[] = [];
  /** The server's reply to a recipient; undefined accepts it. */
  refusal?: { code: number; text: string };
  private readonly server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onRcptTo: (_address, _session, callback) => {
      if (!this.refusal) return callback();
      callback(Object.assign(new Error(this.refusal.text), { responseCode: this.refusal.code }));
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        void simpleParser(Buffer.concat(chunks)).then((mail) => {
          const { mailFrom, rcptTo } = session.envelope;
          this.received.push({
            from: mailFrom ? mailFrom.address : '',
            to: rcptTo.map(({ address }) => address),
            mail,
          });
          callback();
        });
      });
    },
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', () => resolve()));
    return `smtp://127.0.0.1:${(this.server.server.address() as AddressInfo).port}`;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** The mails, once there are so many. */
  async waitFor(count: number): Promise<Envelope[]> {
    for (const deadline = Date.now() + 15_000; this.received.length < count;) {
      if (Date.now() > deadline) throw new Error(`${this.received.length} of ${count} mails arrived`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this.received;
  }
}

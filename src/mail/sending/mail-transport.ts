import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Config } from '../../platform/config/config';
import { readMailbox } from '../../platform/config/mailbox';
import type { MailAddress } from '../../platform/mail/mailer';

/** A rendered mail. */
export interface RenderedMail {
  id: string;
  to: MailAddress;
  subject: string;
  text: string;
  html: string;
  at: Date;
}

/** A refusal of the server: for ever (the address does not exist), or for now. */
export class MailRefused extends Error {
  constructor(
    message: string,
    readonly permanent: boolean,
  ) {
    super(message);
  }
}

/** The destination of mails. */
export interface MailTransport {
  /** @throws MailRefused */
  send(mail: RenderedMail): Promise<void>;
  close(): void;
}

const CONNECTIONS = 4;
const TIMEOUT_MS = 20_000;

/** The configured transport; undefined without one. */
export function createMailTransport(config: Config): MailTransport | undefined {
  const from = readMailbox(config.MAIL_FROM);
  if (config.SMTP_URL !== undefined) return new SmtpTransport(config.SMTP_URL, from);
  if (config.MAIL_DIRECTORY !== undefined) return new FileTransport(config.MAIL_DIRECTORY, from);
  return undefined;
}

/** To a mail server. Addresses are objects: a text would be parsed, and split at its commas. */
class SmtpTransport implements MailTransport {
  private readonly transport: ReturnType<typeof createTransport>;

  constructor(
    url: string,
    private readonly from: { name: string; address: string },
  ) {
    this.transport = createTransport({
      url,
      pool: true,
      maxConnections: CONNECTIONS,
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    } as Parameters<typeof createTransport>[0]);
  }

  async send(mail: RenderedMail): Promise<void> {
    try {
      await this.transport.sendMail({
        from: this.from,
        to: [{ name: mail.to.name ?? '', address: mail.to.address }],
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        date: mail.at,
        messageId: messageId(mail, this.from.address),
        headers: { 'Auto-Submitted': 'auto-generated' },
        disableFileAccess: true,
        disableUrlAccess: true,
      });
    } catch (error) {
      const { responseCode, command, code } = error as { responseCode?: number; command?: string; code?: string };
      const permanent = (responseCode ?? 0) >= 500 && /^RCPT/.test(command ?? '');
      // The server's message may repeat the address: the code is enough.
      throw new MailRefused(`${code ?? 'error'} ${responseCode ?? ''} ${command ?? ''}`.trim(), permanent);
    }
  }

  close(): void {
    this.transport.close();
  }
}

/** To files, for a laptop: each is written whole, and its text is readable as it is. */
class FileTransport implements MailTransport {
  constructor(
    private readonly folder: string,
    private readonly from: { name: string; address: string },
  ) {}

  send(mail: RenderedMail): Promise<void> {
    mkdirSync(this.folder, { recursive: true });
    const name = `${mail.at.toISOString().replaceAll(/[:.]/g, '-')}-${mail.id}.eml`;
    const temporary = join(this.folder, `.${name}.part`);
    writeFileSync(temporary, toEml(mail, this.from), { mode: 0o600 });
    renameSync(temporary, join(this.folder, name));
    return Promise.resolve();
  }

  close(): void {
    // There is no open connection.
  }
}

function messageId(mail: RenderedMail, from: string): string {
  return `<${mail.id}@${from.slice(from.lastIndexOf('@') + 1)}>`;
}

function toEml(mail: RenderedMail, from: { name: string; address: string }): string {
  const boundary = `=_${randomBytes(12).toString('hex')}`;
  const part = (type: string, body: string): string[] => [
    `--${boundary}`,
    `Content-Type: ${type}; charset=utf-8`,
    'Content-Transfer-Encoding: 8bit',
    '',
    body.replaceAll(/\r?\n/g, '\r\n'),
  ];
  return [
    `From: ${header(from.name, from.address)}`,
    `To: ${header(mail.to.name ?? '', mail.to.address)}`,
    `Subject: ${encoded(mail.subject)}`,
    `Date: ${mail.at.toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: ${messageId(mail, from.address)}`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    `Content-Type: multipart/alternative; boundary="${boundary}"`,
    '',
    ...part('text/plain', mail.text),
    ...part('text/html', mail.html),
    `--${boundary}--`,
    '',
  ].join('\r\n');
}

function header(name: string, address: string): string {
  return name === '' ? address : `${encoded(name)} <${address}>`;
}

/** A header's text as encoded words (RFC 2047), unless it needs none. */
function encoded(text: string): string {
  if (/^[A-Za-z0-9 !'*+/=?^_{|}~-]*$/.test(text)) return text;
  const words: string[] = [];
  let word = '';
  for (const character of text.replaceAll(/\p{Cc}/gu, ' ')) {
    if (Buffer.byteLength(word + character) > 45) {
      words.push(word);
      word = '';
    }
    word += character;
  }
  return [...words, word].map((one) => `=?UTF-8?B?${Buffer.from(one).toString('base64')}?=`).join('\r\n ');
}

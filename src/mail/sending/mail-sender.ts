import { type BeforeApplicationShutdown, Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Counter } from 'prom-client';
import { Config } from '../../platform/config/config';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { MailDatabase } from '../../platform/database/roles/mail-database';
import { type AddressedMail, mailContext, type MailTemplates, type MailPayload } from '../../platform/mail/mailer';
import { LOGGER } from '../../platform/observability/logger.module';
import { Metrics } from '../../platform/observability/metrics';
import { toHtml, toText } from '../templates/layout';
import { type LinkTo, TEMPLATES } from '../templates/templates';
import * as queries from './mail.queries';
import { createMailTransport, MailRefused, type MailTransport, type RenderedMail } from './mail-transport';
import { Notices } from './notices';
import { Suppressions } from './suppressions';

const POLL_MS = 1_000;
const MAILS_AT_ONCE = 40;
const MAX_CONCURRENT = 4;
/** The time after which the mail of a dead worker is due again. */
const CLAIM_MS = 2 * 60_000;
const SECOND_MS = 1_000;
/** Waits after each failed attempt; after the last one the mail has failed. */
const RETRIES_MS = [10, 60, 300, 900, 3_600, 10_800, 21_600].map((seconds) => seconds * SECOND_MS);

const OUTCOMES = ['sent', 'postponed', 'failed', 'suppressed'] as const;
type Outcome = (typeof OUTCOMES)[number];

/** Sends the mails that wait, a few at a time. Every worker does; each mail is claimed by one of them. */
@Injectable()
export class MailSender implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly transport?: MailTransport;
  private readonly link: LinkTo;
  private readonly mails: Counter<'outcome'>;
  private timer?: NodeJS.Timeout;
  private round?: Promise<void>;
  private stopped = false;

  constructor(
    config: Config,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly database: MailDatabase,
    private readonly suppressions: Suppressions,
    private readonly notices: Notices,
    metrics: Metrics,
  ) {
    this.transport = createMailTransport(config);
    this.link = linkTo(config);
    this.mails = new Counter({
      name: 'mails_total',
      help: 'Attempts to send a mail, by outcome.',
      labelNames: ['outcome'],
      registers: [metrics.registry],
    });
    for (const outcome of OUTCOMES) this.mails.inc({ outcome }, 0);
  }

  onApplicationBootstrap(): void {
    if (!this.transport) {
      this.logger.warn('SMTP_URL is not set: no mail is sent');
      return;
    }
    this.timer = setInterval(() => void this.run(), POLL_MS);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.round;
    this.transport?.close();
  }

  /** One round over due mails; a call during a round waits for its end. Never throws. */
  run(now = new Date()): Promise<void> {
    this.round ??= this.sendDue(now)
      .catch((error: Error) => this.logger.warn({ reason: error.message }, 'due mails could not be read'))
      .finally(() => (this.round = undefined));
    return this.round;
  }

  private async sendDue(now: Date): Promise<void> {
    const due = await this.database.transaction((tx) =>
      tx.query<queries.WaitingMail>(queries.findDue(now, MAILS_AT_ONCE)),
    );
    const next = due.values();
    const sendNext = async (): Promise<void> => {
      for (const mail of next) {
        if (this.stopped) return;
        await this.attempt(mail, now).catch((error: unknown) =>
          this.logger.error({ err: error, mail_id: mail.id }, 'a mail could not be processed'),
        );
      }
    };
    await Promise.all(Array.from({ length: Math.min(MAX_CONCURRENT, due.length) }, sendNext));
  }

  private async attempt({ tenant_id: tenantId, id }: queries.WaitingMail, now: Date): Promise<void> {
    const until = new Date(now.getTime() + CLAIM_MS);
    const [mail] = await this.database.transaction((tx) =>
      tx.query<queries.WaitingMail>(queries.claimMail(tenantId, id, now, until)),
    );
    if (!mail) return;
    const outcome = await this.deliver(mail);
    if (outcome === undefined) return;
    this.mails.inc({ outcome });
    const wait = RETRIES_MS[mail.attempts - 1];
    const statement =
      outcome === 'postponed' && wait !== undefined
        ? queries.postponeMail(tenantId, id, new Date(new Date().getTime() + wait))
        : queries.removeMail(tenantId, id);
    await this.database.transaction((tx) => tx.query(statement));
  }

  /** @returns undefined for a notice, which has become the mails to its members */
  private async deliver(mail: queries.WaitingMail): Promise<Outcome | undefined> {
    const about = { mail_id: mail.id, template: mail.template };
    let address: string | undefined;
    try {
      // A mail whose key is missing is retried, too: the key may be restored.
      const content = JSON.parse(this.box.decrypt(mail.sealed, mailContext(mail.tenant_id, mail.id))) as MailPayload;
      if ('audience' in content) {
        await this.notices.expand(mail, content.audience, content.data);
        return undefined;
      }
      ({ address } = content.to);
      if (await this.suppressions.isSuppressed(address)) {
        this.logger.info(about, 'a mail was not sent: its address bounced before');
        return 'suppressed';
      }
      await this.transport?.send(render(mail, content, this.link));
      return 'sent';
    } catch (error) {
      const { message, permanent } =
        error instanceof MailRefused ? error : { message: String(error), permanent: false };
      if (permanent && address !== undefined) {
        await this.suppressions.add(address, message);
        this.logger.warn({ ...about, reason: message }, 'a mail bounced: its address is suppressed');
        return 'failed';
      }
      return this.tryAgain(mail, message);
    }
  }

  private tryAgain({ id, template, attempts }: queries.WaitingMail, reason: string): Outcome {
    const isLast = attempts > RETRIES_MS.length;
    this.logger.warn(
      { mail_id: id, template, reason, attempt: attempts },
      isLast ? 'a mail was given up' : 'a mail was not sent; it is tried again',
    );
    return isLast ? 'failed' : 'postponed';
  }
}

/** Makes the links of mails: to `APP_URL`, never to a host that a request names. */
export function linkTo(config: Pick<Config, 'APP_URL' | 'PUBLIC_URL' | 'PORT'>): LinkTo {
  const base = (config.APP_URL ?? config.PUBLIC_URL ?? `http://localhost:${config.PORT}`).replace(/\/+$/, '');
  return (path, token) => `${base}${path}#token=${encodeURIComponent(token)}`;
}

/** The mail with its text and HTML. */
export function render(
  mail: Pick<queries.WaitingMail, 'id' | 'template' | 'created_at'>,
  content: AddressedMail,
  link: LinkTo,
): RenderedMail {
  const template = TEMPLATES[mail.template as keyof MailTemplates] as
    ((data: unknown, link: LinkTo) => ReturnType<(typeof TEMPLATES)['test']>) | undefined;
  if (!template) throw new Error(`there is no template ${mail.template}`);
  const said = template(content.data, link);
  return {
    id: mail.id,
    to: content.to,
    subject: said.subject,
    text: toText(said),
    html: toHtml(said),
    at: mail.created_at,
  };
}

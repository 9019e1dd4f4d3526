import { Inject, Injectable } from '@nestjs/common';
import { Config } from '../config/config';
import { SECRET_BOX, type SecretBox } from '../crypto/secret-box.module';
import type { Statement } from '../database/sql/statement';
import { NO_TENANT, type TenantTransaction } from '../database/tenant-database';
import type { Transaction } from '../database/transaction';
import type { MailAudience } from '../hooks/hooks';
import { isEmail } from '../http/requests/text-formats';
import { newTimedId } from '../ids/ids';

/**
 * Templates by name, each with its values. Empty here: the module with the templates declares them (`declare module`),
 * so that a mail with an unknown template or a missing value is a type error.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled in by declarations elsewhere
export interface MailTemplates {}

/** A person's mailbox. */
export interface MailAddress {
  readonly address: string;
  readonly name?: string | null;
}

/** A mail to send. */
export interface Mail<T extends keyof MailTemplates = keyof MailTemplates> {
  /** The address as it is stored, never as a request spells it. */
  readonly to: MailAddress;
  readonly template: T;
  readonly data: MailTemplates[T];
  /** The tenant of the mail, if there is one. */
  readonly tenantId?: string;
}

/** Templates that name the tenant that they are about. */
export type NoticeTemplate = {
  [T in keyof MailTemplates]: MailTemplates[T] extends { tenantName: string } ? T : never;
}[keyof MailTemplates];

/** A notice to members of a tenant, whose addresses the request does not have. */
export interface Notice<T extends NoticeTemplate = NoticeTemplate> {
  readonly audience: MailAudience;
  readonly template: T;
  /** The name of the tenant is added when the notice is sent. */
  readonly data: Omit<MailTemplates[T], 'tenantName'>;
}

/** The encrypted content of a mail. */
export interface AddressedMail {
  to: MailAddress;
  data: Record<string, unknown>;
}

/** The encrypted content of a mail, or of a notice that will become mails. */
export type MailPayload = AddressedMail | { audience: MailAudience; data: Record<string, unknown> };

/**
 * Writes mails in the transaction of their change; the worker sends them after the commit. So a request takes the same
 * time with or without a mail, and no mail reports a change that was rolled back.
 */
@Injectable()
export class Mailer {
  /** Whether mails are sent: to a server, or to files. */
  readonly isConfigured: boolean;

  constructor(
    config: Config,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {
    this.isConfigured = config.SMTP_URL !== undefined || config.MAIL_DIRECTORY !== undefined;
  }

  /** Has a mail sent when the transaction commits. Does nothing where mail is not configured. */
  send<T extends keyof MailTemplates>(tx: Pick<Transaction, 'insert'>, mail: Mail<T>): void {
    if (!this.isConfigured) return;
    if (!isEmail(mail.to.address)) throw new Error('a mail is sent to an e-mail address');
    const { to, data } = mail;
    this.write(tx, mail.tenantId ?? NO_TENANT, mail.template, { to, data });
  }

  /**
   * Sends a mail to each member of an audience when the transaction commits: one row for any number of members. Does
   * nothing if mail is not configured.
   */
  notify<T extends NoticeTemplate>(
    tx: Pick<TenantTransaction, 'insert' | 'tenantId'>,
    { audience, template, data }: Notice<T>,
  ): void {
    if (this.isConfigured) this.write(tx, tx.tenantId, template, { audience, data });
  }

  private write(tx: Pick<Transaction, 'insert'>, tenantId: string, template: string, content: object): void {
    const { id, at } = newTimedId();
    const encrypted = this.box.encrypt(JSON.stringify(content), mailContext(tenantId, id));
    tx.insert(insertMail({ tenantId, id, template, sealed: encrypted, createdAt: at }));
  }
}

/** The context of a mail's encryption. */
export function mailContext(tenantId: string, id: string): string {
  return `mail/${tenantId}/${id}`;
}

interface NewMail {
  tenantId: string;
  id: string;
  template: string;
  sealed: string;
  createdAt: Date;
}

function insertMail({ tenantId, id, template, sealed, createdAt }: NewMail): Statement {
  return {
    name: 'mail_outbox_insert',
    text: `insert into mail_outbox (tenant_id, id, template, sealed, created_at, next_attempt_at) values ($1, $2, $3, $4, $5, $5)`,
    values: [tenantId, id, template, sealed, createdAt],
  };
}

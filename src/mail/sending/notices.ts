import { Injectable } from '@nestjs/common';
import { MailDatabase } from '../../platform/database/roles/mail-database';
import { Hooks, type MailAudience } from '../../platform/hooks/hooks';
import { Mailer, type MailTemplates } from '../../platform/mail/mailer';
import { takeMail, type WaitingMail } from './mail.queries';

/** Makes a notice to the members of a tenant into one mail for each of them. */
@Injectable()
export class Notices {
  constructor(
    private readonly database: MailDatabase,
    private readonly hooks: Hooks,
    private readonly mailer: Mailer,
  ) {}

  /** In one transaction, so that a worker that dies in between leaves either the notice or the mails. */
  async expand(notice: WaitingMail, audience: MailAudience, data: Record<string, unknown>): Promise<void> {
    const { tenant_id: tenantId, id } = notice;
    const { tenantName, addresses } = await this.hooks.mailAudience.run({ tenantId, audience });
    await this.database.transaction(async (tx) => {
      const [taken] = await tx.query(takeMail(tenantId, id));
      if (!taken) return;
      const template = notice.template as keyof MailTemplates;
      for (const to of addresses) {
        this.mailer.send(tx, { to, template, data: { ...data, tenantName } as never, tenantId });
      }
    });
  }
}

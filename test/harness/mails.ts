import { SECRET_BOX, type SecretBox } from '../../src/platform/crypto/secret-box.module';
import { mailContext, type MailPayload } from '../../src/platform/mail/mailer';
import type { TestService } from './service';
import { keepSecret } from './suite-log';

/** A mail that waits to be sent, opened. */
export interface WaitingMail {
  template: string;
  data: Record<string, string>;
}

/** The mails to an address, the oldest first. */
export async function mailsTo(service: TestService, address: string): Promise<WaitingMail[]> {
  const box = service.app.get<SecretBox>(SECRET_BOX, { strict: false });
  const rows = await service.database.sql<{ tenant_id: string; id: string; template: string; sealed: string }>(
    'select tenant_id, id, template, sealed from mail_outbox order by id',
  );
  return rows.flatMap((row) => {
    const mail = JSON.parse(box.decrypt(row.sealed, mailContext(row.tenant_id, row.id))) as MailPayload;
    return 'to' in mail && mail.to.address === address
      ? [{ template: row.template, data: mail.data as Record<string, string> }]
      : [];
  });
}

/** The token of the newest mail of a template to an address. */
export async function tokenTo(service: TestService, address: string, template: string): Promise<string> {
  const mails = (await mailsTo(service, address)).filter((mail) => mail.template === template);
  const token = mails.at(-1)?.data.token;
  if (token === undefined) throw new Error(`there is no mail ${template} to ${address}`);
  keepSecret(token);
  return token;
}

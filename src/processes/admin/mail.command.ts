import { createMailTransport } from '../../mail/sending/mail-transport';
import { linkTo, render } from '../../mail/sending/mail-sender';
import { Suppressions } from '../../mail/sending/suppressions';
import { isEmail } from '../../platform/http/requests/text-formats';
import { newTimedId } from '../../platform/ids/ids';
import { UsageError } from '../lifecycle';
import type { Command } from './command';

export const testCommand: Command = {
  summary: 'Sends a test mail to this address now, by the server of SMTP_URL, and prints the result',
  arguments: '<address>',
  async run({ config, positionals, dryRun }) {
    const address = readAddress(positionals[0]);
    const transport = createMailTransport(config);
    if (!transport) throw new UsageError('mail is not configured: set SMTP_URL');
    try {
      const { id, at } = newTimedId();
      const mail = { id, template: 'test', created_at: at };
      const content = { to: { address }, data: { at: at.toISOString() } };
      if (!dryRun) await transport.send(render(mail, content, linkTo(config)));
      return { lines: [dryRun ? 'would send a mail' : `sent ${id}`], data: { id } };
    } catch (error) {
      const reason = (error as Error).message;
      return { lines: [`not sent: ${reason}`], data: { reason }, failed: true };
    } finally {
      transport.close();
    }
  },
};

export const allowCommand: Command = {
  summary: 'Sends mails again to an address that bounced, which is suppressed for 30 days otherwise',
  arguments: '<address>',
  async run({ positionals, dryRun, open }) {
    const address = readAddress(positionals[0]);
    const suppressions = (await open()).get(Suppressions, { strict: false });
    const was = dryRun ? await suppressions.isSuppressed(address) : await suppressions.lift(address);
    return { lines: [was ? 'it was suppressed' : 'it was not suppressed'], data: { suppressed: was } };
  },
};

function readAddress(text = ''): string {
  if (!isEmail(text)) throw new UsageError('the address must be an e-mail address');
  return text;
}

/**
 * Sending mails, in the worker. Nouns: a *mail* waits in `mail_outbox`, written with its change (`platform/mail`); a
 * *template* renders it in text and HTML; the *transport* is a mail server or a folder; an address that bounced is
 * *suppressed*. Invariants: a committed mail is sent at least once, or given up after a day with a line in
 * the log; its Message-ID is unique, so that a second copy can be recognized; no address or token is logged.
 */
import { Module } from '@nestjs/common';
import { MailDatabase } from '../platform/database/roles/mail-database';
import { MailSender } from './sending/mail-sender';
import { Notices } from './sending/notices';
import { Suppressions } from './sending/suppressions';
import { HooksModule } from '../platform/hooks/hooks.module';
import { MailPlatformModule } from '../platform/mail/mail.module';
import { SecretBoxModule } from '../platform/crypto/secret-box.module';

@Module({
  imports: [HooksModule, MailPlatformModule, SecretBoxModule],
  providers: [MailDatabase, MailSender, Notices, Suppressions],
  exports: [MailSender, Suppressions],
})
export class MailWorkerModule {}

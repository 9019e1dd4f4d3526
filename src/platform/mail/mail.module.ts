/**
 * Writing mails. A mail is a row in `mail_outbox`, written in the transaction of the change that it tells of, its
 * content sealed; the worker's half (the folder `mail` of the features) renders and sends it. What must always hold:
 * nothing is sent within a request; an address is never a text that a mail library would have to parse.
 */
import { Global, Module } from '@nestjs/common';
import { Mailer } from './mailer';

@Global()
@Module({ providers: [Mailer], exports: [Mailer] })
export class MailPlatformModule {}

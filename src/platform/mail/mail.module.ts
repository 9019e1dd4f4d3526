/**
 * Writing mails. A mail is a row in `mail_outbox` with encrypted content, written in the transaction of its change; the
 * worker's half (the folder `mail` of the features) renders and sends it. Invariants: no mail is sent within
 * a request; an address is never a text that a mail library would have to parse.
 */
import { Module } from '@nestjs/common';
import { Mailer } from './mailer';
import { SecretBoxModule } from '../crypto/secret-box.module';

@Module({ imports: [SecretBoxModule], providers: [Mailer], exports: [Mailer] })
export class MailPlatformModule {}

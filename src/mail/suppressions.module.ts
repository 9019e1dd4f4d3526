/** Only the suppressed addresses, for the operator's commands: they list and clear, and send no mail. */
import { Module } from '@nestjs/common';
import { MailDatabase } from '../platform/database/roles/mail-database';
import { Suppressions } from './sending/suppressions';

@Module({ providers: [MailDatabase, Suppressions], exports: [Suppressions] })
export class SuppressionsModule {}

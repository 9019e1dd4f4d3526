/**
 * The worker's half of the company: it answers which members a notice is for. Their addresses are read when the notice
 * is sent, so that a request does not wait for them.
 */
import { Module } from '@nestjs/common';
import { MembersDatabase } from '../platform/database/roles/members-database';
import { MailAudiences } from './members/mail-audiences';
import './tenants.permissions';

@Module({ providers: [MailAudiences, MembersDatabase] })
export class TenantsWorkerModule {}

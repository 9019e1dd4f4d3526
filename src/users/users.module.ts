/**
 * Persons. A *user* is a person, global, with one address; the address is unique by its *key* (`email-key.ts`), which
 * the service computes and stores. Invariants: only the sign-in role sees users; an address counts as the
 * person's own once its mailbox was proved (`email_verified_at`).
 */
import { Module } from '@nestjs/common';
import { DatabaseModule } from '../platform/database/database.module';
import { SignInDatabase } from '../platform/database/roles/sign-in-database';
import { EmailKeyBackfill } from './email-key-backfill';
import { User } from './user.entity';
import { Users } from './users';

@Module({
  imports: [DatabaseModule.forFeature([User])],
  providers: [EmailKeyBackfill, SignInDatabase, Users],
  exports: [Users],
})
export class UsersModule {}

/**
 * The operator's half of the company, in the process of the commands alone: the list of all tenants, which no serving
 * process can reach.
 */
import { Module } from '@nestjs/common';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import { OperatorDatabase } from '../../platform/database/roles/operator-database';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { OperatorTenants } from './operator-tenants.service';
import { HooksModule } from '../../platform/hooks/hooks.module';
import { TenantsModule } from '../tenants.module';

@Module({
  imports: [HooksModule, TenantsModule],
  providers: [MembersDatabase, OperatorDatabase, OperatorTenants, SignInDatabase],
  exports: [OperatorTenants],
})
export class TenantsOperatorModule {}

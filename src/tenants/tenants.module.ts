/**
 * The company. Nouns: a *tenant* is the unit of isolation, a *member* a person's place in it, a *role* a named set of
 * permissions (four built in, at most 50 custom ones), an *invitation* an offer of a place to an e-mail address, a
 * *policy* a rule of the tenant for the sessions and keys that reach it.
 *
 * The flow: a change locks the tenant's row first, so that changes of members and roles come one after the other;
 * writes the change, its audit row and its event in one transaction; and raises the tenant's epoch, by which every
 * process reads the state of its credentials anew.
 *
 * What must always hold: a tenant that is open has an active owner; a caller grants no permission that it lacks, and
 * changes no member or role with more permissions than its own; a change reaches every live credential within two
 * seconds.
 */
import { Module } from '@nestjs/common';
import { HttpPlatformModule } from '../platform/http/http.module';
import { DatabaseModule } from '../platform/database/database.module';
import { Membership } from './membership.entity';
import { Tenant } from './tenant.entity';
import './tenants.permissions';
import { UsageController } from './usage/usage.controller';

@Module({
  imports: [DatabaseModule.forFeature([Tenant, Membership]), HttpPlatformModule],
  controllers: [UsageController],
})
export class TenantsModule {}

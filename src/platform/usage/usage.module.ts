/**
 * The usage and the quotas of a tenant. Nouns: an *amount* is counted as something is made (events, their bytes) and
 * has a limit a day, or counts as stored rows; a *meter* is read on request. Features define amounts and
 * register meters; one route shows both.
 *
 * Invariants: counting adds no statement to a request; a quota is checked before a tenant's own change and
 * never for what the service does by itself, so that no quota keeps a person from being removed or a key from being
 * revoked.
 */
import { Module } from '@nestjs/common';
import { NewTenants } from './new-tenants';
import { TenantUsage } from './tenant-usage';
import { UsageMeters } from './usage-meters';

@Module({ providers: [NewTenants, TenantUsage, UsageMeters], exports: [NewTenants, TenantUsage, UsageMeters] })
export class UsageModule {}

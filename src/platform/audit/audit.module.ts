/**
 * Writing the audit log. Nouns: an *entry* says which actor did what to which target; its *canonical bytes* are what
 * its leaf hash covers; a *personal value* (address, network, user agent) is kept beside the entry, salted in the
 * bytes, and goes when the person is erased. What must always hold: an entry commits with its change or not at all; the
 * service's roles insert and read, and change or delete no entry; no secret is in an entry.
 */
import { Global, Module } from '@nestjs/common';
import { AuditLog } from './audit-log';
import { Refusals } from './refusals';

@Global()
@Module({ providers: [AuditLog, Refusals], exports: [AuditLog, Refusals] })
export class AuditPlatformModule {}

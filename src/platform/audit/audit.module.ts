/**
 * Writing the audit log. Nouns: an *entry* records an action of an actor on a target; its leaf hash covers its
 * *canonical bytes*; a *personal value* (address, network, user agent) is stored beside the entry, salted in the bytes,
 * and deleted when the person is erased. Invariants: an entry commits with its change or not at all; the
 * service's roles insert and read, and change or delete no entry; no entry contains a secret.
 */
import { Module } from '@nestjs/common';
import { AuditLog } from './audit-log';
import { Refusals } from './refusals';

@Module({ providers: [AuditLog, Refusals], exports: [AuditLog, Refusals] })
export class AuditPlatformModule {}

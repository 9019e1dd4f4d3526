/**
 * Writing the audit log. Nouns: an *entry* records an action of an actor on a target; its leaf hash covers its
 * *canonical bytes*; a *personal value* (address, network, user agent) is stored beside the entry, salted in the bytes,
 * and deleted when the person is erased. Invariants: an entry commits with its change or not at all; the
 * service's roles insert and read, and change or delete no entry; no entry contains a secret. The *security log* has a
 * line of each committed entry, and of each kind of refusal, in the process's own log.
 */
import { Module } from '@nestjs/common';
import { AuditLog } from './audit-log';
import { Refusals } from './refusals';
import { SecurityLog } from './security-log';

@Module({ providers: [AuditLog, Refusals, SecurityLog], exports: [AuditLog, Refusals, SecurityLog] })
export class AuditPlatformModule {}

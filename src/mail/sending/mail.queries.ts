/** The statements by which mails are sent. */
import type { Row, Statement } from '../../platform/database/sql/statement';

/** A mail that waits. */
export interface WaitingMail extends Row {
  tenant_id: string;
  id: string;
  template: string;
  sealed: string;
  created_at: Date;
  attempts: number;
}

export function findDue(now: Date, limit: number): Statement {
  return {
    name: 'mail_due',
    text: 'select tenant_id, id from mail_outbox where next_attempt_at <= $1 order by next_attempt_at limit $2',
    values: [now, limit],
  };
}

/** Claims a due mail until a time; of two concurrent workers one gets it. */
export function claimMail(tenantId: string, id: string, now: Date, until: Date): Statement {
  return {
    name: 'mail_claim',
    text: `update mail_outbox set next_attempt_at = $4, attempts = attempts + 1
            where tenant_id = $1 and id = $2 and next_attempt_at <= $3
           returning tenant_id, id, template, sealed, created_at, attempts`,
    values: [tenantId, id, now, until],
  };
}

export function postponeMail(tenantId: string, id: string, until: Date): Statement {
  return {
    name: 'mail_postpone',
    text: 'update mail_outbox set next_attempt_at = $3 where tenant_id = $1 and id = $2',
    values: [tenantId, id, until],
  };
}

export function removeMail(tenantId: string, id: string): Statement {
  return {
    name: 'mail_remove',
    text: 'delete from mail_outbox where tenant_id = $1 and id = $2',
    values: [tenantId, id],
  };
}

/** Removes a mail, and returns whether it existed. */
export function takeMail(tenantId: string, id: string): Statement {
  return {
    name: 'mail_take',
    text: 'delete from mail_outbox where tenant_id = $1 and id = $2 returning id',
    values: [tenantId, id],
  };
}

export function findSuppression(addressHash: Buffer, now: Date): Statement {
  return {
    name: 'mail_suppression_find',
    text: 'select reason from mail_suppressions where address_hash = $1 and expires_at > $2',
    values: [addressHash, now],
  };
}

export function suppress(addressHash: Buffer, reason: string, now: Date, until: Date): Statement {
  return {
    name: 'mail_suppress',
    text: `insert into mail_suppressions (address_hash, reason, created_at, expires_at) values ($1, $2, $3, $4)
           on conflict (address_hash) do update set reason = excluded.reason, expires_at = excluded.expires_at`,
    values: [addressHash, reason, now, until],
  };
}

export function liftSuppression(addressHash: Buffer): Statement {
  return {
    name: 'mail_suppression_lift',
    text: 'delete from mail_suppressions where address_hash = $1 returning 1',
    values: [addressHash],
  };
}

/**
 * The audit entry of a change of status, as a hand-written server writes it: the same rows as the service, with the
 * bytes that docs/audit-log.md describes. The status before the change is known to PostgreSQL alone, which therefore
 * puts it between the two halves of the bytes.
 */
import { createHash, randomFillSync, randomUUID } from 'node:crypto';

const SALT_BYTES = 32;
const LENGTH_BYTES = 4;

/** Random bytes in blocks: the system call is most of a salt's cost. */
const salts = Buffer.alloc(64 * SALT_BYTES);
let used = salts.length;
function newSalt() {
  if (used === salts.length) {
    randomFillSync(salts);
    used = 0;
  }
  used += SALT_BYTES;
  return Buffer.from(salts.subarray(used - SALT_BYTES, used));
}

/** Names and values, each behind its length. */
function encode(parts) {
  const bytes = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + LENGTH_BYTES + Buffer.byteLength(part), 0));
  let at = 0;
  for (const part of parts) {
    const start = at + LENGTH_BYTES;
    const length = typeof part === 'string' ? bytes.write(part, start) : part.copy(bytes, start);
    bytes.writeUInt32BE(length, at);
    at = start + length;
  }
  return bytes;
}

const commitment = (salt, value) => createHash('sha256').update(salt).update(value).digest();

/**
 * The values of {@link INSERT_AUDIT}, from $10 on.
 * @param {{ tenantId: string, userId: string, sessionId: string }} caller
 */
export function auditValues(caller, { orderId, id, at, network, userAgent }) {
  const requestId = randomUUID();
  const [ofNetwork, ofAgent] = [newSalt(), newSalt()];
  const before = encode([
    ...['version', 'audit-entry/1', 'tenant_id', caller.tenantId, 'id', id, 'occurred_at', at],
    ...['actor.type', 'user', 'actor.id', caller.userId, 'action', 'order.status_changed'],
    ...['target.type', 'order', 'target.id', orderId, 'changes.status'],
  ]);
  const after = encode([
    ...['network#', commitment(ofNetwork, network), 'user_agent#', commitment(ofAgent, userAgent)],
    ...['request_id', requestId, 'session_id', caller.sessionId, 'outcome', 'success', 'count', '1'],
  ]);
  const personal = JSON.stringify({ network, user_agent: userAgent });
  const own = JSON.stringify({ network: ofNetwork.toString('base64'), user_agent: ofAgent.toString('base64') });
  return [id, requestId, caller.sessionId, before, after, personal, own];
}

const CHANGE = `'["' || o.from_status || '","' || o.status || '"]'`;

/** Parts of a WITH: `o` is the changed order with its `from_status`, $1 the tenant, $3 the time, $5 the user. */
export const INSERT_AUDIT = `a as (
    insert into audit_log (tenant_id, id, occurred_at, actor_type, actor_id, action, target_type, target_id, changes,
                           request_id, session_id, outcome, count, canonical)
    select $1, $10, $3, 'user', $5::uuid::text, 'order.status_changed', 'order', o.id::text,
           ('{"status":' || ${CHANGE} || '}')::json, $11, $12, 'success', 1,
           $13::bytea || int4send(octet_length(${CHANGE})) || convert_to(${CHANGE}, 'UTF8') || $14::bytea
      from o
  ), p as (
    insert into audit_personal (tenant_id, entry_id, user_id, data, salts) select $1, $10, $5, $15, $16 from o
  ), q as (
    insert into audit_pending (tenant_id, entry_id) select $1, $10 from o
  )`;

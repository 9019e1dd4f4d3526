import { createHash, randomBytes } from 'node:crypto';

const TOKEN = /^inv_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** The id in place of the inviter if the operator invites. */
export const BY_OPERATOR = '00000000-0000-0000-0000-000000000000';

/** A new token of an invitation: the text, which goes into the mail, and its stored hash. */
export function newInvitationToken(tenantId: string): { text: string; hash: Buffer } {
  const text = `inv_${tenantId.replaceAll('-', '')}_${randomBytes(32).toString('base64url')}`;
  return { text, hash: hashOf(text) };
}

/** The tenant and the hash of a token; undefined for a text that is none. */
export function readInvitationToken(text: string): { tenantId: string; hash: Buffer } | undefined {
  const hex = TOKEN.exec(text)?.[1];
  if (hex === undefined) return undefined;
  const tenantId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return { tenantId, hash: hashOf(text) };
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/**
 * The text of an API key: `osa_`, the tenant's id (16 bytes), `_`, 32 random bytes, and the CRC-32 of every character
 * before it, each in base62, big-endian and padded with `0` on the left. The tenant is in the text because row-level
 * security finds no row without a tenant; the checksum lets a mistyped or made-up key fail without a query.
 */
import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = 62n;
const TENANT_LENGTH = 22;
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const HINT_LENGTH = 4;
const PREFIX = 'osa_';
const SECRET_AT = PREFIX.length + TENANT_LENGTH + 1;
const CHECKSUM_AT = SECRET_AT + SECRET_LENGTH;
const KEY_LENGTH = CHECKSUM_AT + CHECKSUM_LENGTH;
const KEY = /^osa_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}$/;

/** The expression by which scanners of repositories and logs find a key. */
export const KEY_PATTERN = String.raw`\bosa_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}\b`;

/** Whether a bearer token is meant as an API key; no other token begins like one. */
export function looksLikeKey(token: string): boolean {
  return token.startsWith(PREFIX);
}

/** A new key of a tenant: the text, shown once, and its stored hash. */
export function newKey(tenantId: string): { text: string; hash: Buffer; hint: string } {
  const secret = encode(randomBytes(32), SECRET_LENGTH);
  const content = `${PREFIX}${encode(bytesOfUuid(tenantId), TENANT_LENGTH)}_${secret}`;
  const text = content + checksumOf(content);
  return { text, hash: hashOfKey(text), hint: secret.slice(0, HINT_LENGTH) };
}

/** The tenant of a key; undefined for a text that no tenant was ever given. */
export function tenantOfKey(text: string): string | undefined {
  if (text.length !== KEY_LENGTH || !KEY.test(text)) return undefined;
  if (text.slice(CHECKSUM_AT) !== checksumOf(text.slice(0, CHECKSUM_AT))) return undefined;
  const tenant = decode(text.slice(PREFIX.length, PREFIX.length + TENANT_LENGTH), 16);
  const secret = decode(text.slice(SECRET_AT, CHECKSUM_AT), 32);
  return tenant && secret && uuidOfBytes(tenant);
}

/** SHA-256 of the key's text, the only stored part: a key has 256 random bits, which need no slow hash. */
export function hashOfKey(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

function checksumOf(content: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(content));
  return encode(bytes, CHECKSUM_LENGTH);
}

function encode(bytes: Buffer, length: number): string {
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let at = 0; at < length; at++) {
    text = (ALPHABET[Number(value % BASE)] as string) + text;
    value /= BASE;
  }
  return text;
}

/** The bytes of a text; undefined if its value needs more bytes. */
function decode(text: string, length: number): Buffer | undefined {
  let value = 0n;
  for (const character of text) value = value * BASE + BigInt(ALPHABET.indexOf(character));
  const hex = value.toString(16).padStart(length * 2, '0');
  return hex.length > length * 2 ? undefined : Buffer.from(hex, 'hex');
}

function bytesOfUuid(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

function uuidOfBytes(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

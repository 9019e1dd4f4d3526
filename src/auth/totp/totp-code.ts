/** Time-based one-time passwords (RFC 6238): SHA-1, 6 digits, 30 seconds, as every authenticator app has them. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const STEP_MS = 30_000;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const SECRET_BYTES = 20;
/** One step either side, for clocks that differ. */
const DRIFT = [0, -1, 1];
export const TOTP_CODE = /^\d{6}$/;

export function newSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** The step of a time. */
export function stepAt(now: Date): number {
  return Math.floor(now.getTime() / STEP_MS);
}

/** The code of a step. */
export function codeOf(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const hmac = createHmac('sha1', secret).update(counter).digest();
  const offset = (hmac[hmac.length - 1] as number) & 0xf;
  return String((hmac.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}

/** The step of a code among the near ones; undefined without a match. */
export function matchingStep(secret: Buffer, code: string, now: Date): number | undefined {
  if (!TOTP_CODE.test(code)) return undefined;
  const steps = DRIFT.map((drift) => stepAt(now) + drift);
  // All are compared, so that the duration does not reveal the matching one.
  const fitting = steps.filter((step) => timingSafeEqual(Buffer.from(codeOf(secret, step)), Buffer.from(code)));
  return fitting[0];
}

/** RFC 4648, without padding. */
export function base32(bytes: Buffer): string {
  let bits = 0;
  let value = 0;
  let text = '';
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text;
}

/** The content of the QR code for an authenticator app. */
export function otpauthUri(secret: Buffer, issuer: string, account: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`;
  return `otpauth://totp/${label}?secret=${base32(secret)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=6&period=30`;
}

import { codeOf, stepAt } from '../../src/auth/totp/totp-code';
import type { ApiClient } from './client';
import { keepSecret } from './suite-log';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** An authenticator app, as a test holds it. */
export interface TestAuthenticator {
  /** The recovery codes that came with it. */
  recoveryCodes: string[];
  /** The code of this moment, or so many steps from it. */
  code(drift?: number): string;
}

/** Adds an authenticator app to a person. */
export async function enrol(person: ApiClient): Promise<TestAuthenticator> {
  const offer = await person.post('/auth/totp');
  if (offer.status !== 201) throw new Error(`no authenticator app: ${offer.status} ${offer.text}`);
  keepSecret(offer.body.secret as string);
  const secret = fromBase32(offer.body.secret as string);
  const code = (drift = 0): string => codeOf(secret, stepAt(new Date()) + drift);
  const confirmed = await person.post('/auth/totp/confirm', { code: code() });
  if (confirmed.status !== 200) throw new Error(`not confirmed: ${confirmed.status} ${confirmed.text}`);
  const recoveryCodes = (confirmed.body.recovery_codes ?? []) as string[];
  recoveryCodes.forEach(keepSecret);
  return { recoveryCodes, code };
}

function fromBase32(text: string): Buffer {
  const bits = Array.from(text, (letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) as string[]).map((byte) => parseInt(byte, 2)));
}

import { codeOf, stepAt } from '../../src/auth/totp/totp-code';
import type { ApiClient } from './client';
import type { TestService } from './service';
import { keepSecret } from './suite-log';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The bytes of an authenticator's secret. */
export function fromBase32(text: string): Buffer {
  const bits = Array.from(text, (letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) as string[]).map((byte) => parseInt(byte, 2)));
}

/** An authenticator app whose person has added it. */
export interface Authenticator {
  recoveryCodes: string[];
  /** A code that counts now; each call makes those from before count as unused, as time does. */
  code(): Promise<string>;
}

/** Adds an authenticator app to the account of the client. */
export async function addAuthenticator(service: TestService, client: ApiClient): Promise<Authenticator> {
  const offer = await client.post('/auth/totp');
  if (offer.status !== 201) throw new Error(`no second factor: ${offer.status} ${offer.text}`);
  keepSecret(offer.body.secret as string);
  const secret = fromBase32(offer.body.secret as string);
  const now = (): string => codeOf(secret, stepAt(new Date()));
  const confirmed = await client.post('/auth/totp/confirm', { code: now() });
  if (confirmed.status !== 200) throw new Error(`not confirmed: ${confirmed.status} ${confirmed.text}`);
  const recoveryCodes = confirmed.body.recovery_codes as string[];
  recoveryCodes.forEach(keepSecret);
  return {
    recoveryCodes,
    code: async () => {
      await service.database.sql('update totp_factors set last_step = 0 where user_id = $1', [client.session?.user.id]);
      return now();
    },
  };
}

import { Algorithm, hash, verify } from '@node-rs/argon2';

/** argon2id with 19 MiB, two passes, one lane: OWASP's minimum, about 20 ms of one core. */
const OPTIONS = { algorithm: 2 as Algorithm.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/**
 * The PHC string to store for a password. Keyboards write one character in several ways (`é` as one code point or as
 * two): the hash is that of the normal form NFC.
 */
export function hashPassword(password: string): Promise<string> {
  return hash(password.normalize('NFC'), OPTIONS);
}

let hashOfNoAccount: Promise<string> | undefined;

/**
 * Whether the password matches the hash. Without a hash (an e-mail address without an account) it does the same work
 * and returns false, so that the duration reveals nothing.
 *
 * Older hashes are of the password as it was sent: that form is compared second. A password that is its own normal
 * form, as nearly all are, is compared once.
 */
export async function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  const compared = stored ?? (await (hashOfNoAccount ??= hashPassword('no password at all')));
  const normal = password.normalize('NFC');
  const matches = (await verify(compared, normal)) || (normal !== password && (await verify(compared, password)));
  return stored !== undefined && matches;
}

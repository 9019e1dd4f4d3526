import { Algorithm, hash, verify } from '@node-rs/argon2';

/** argon2id with 19 MiB, two passes, one lane: OWASP's minimum, about 20 ms of one core. */
const OPTIONS = { algorithm: 2 as Algorithm.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** The PHC string to store for a password. */
export function hashPassword(password: string): Promise<string> {
  return hash(password, OPTIONS);
}

let nobodysHash: Promise<string> | undefined;

/**
 * Whether the password is the one behind the hash. Without a hash (an e-mail address that nobody has) it does the same
 * work and says no, so that the time taken tells nothing.
 */
export async function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  const nobodys = await (nobodysHash ??= hashPassword('no password at all'));
  const matches = await verify(stored ?? nobodys, password);
  return stored !== undefined && matches;
}

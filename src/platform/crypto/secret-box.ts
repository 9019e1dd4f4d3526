/**
 * Encryption of values that must be stored but must not be readable in a dump: secrets, and responses with a secret.
 *
 * AES-256-GCM with a random 96-bit nonce. An encrypted text is `v1.<kid>.<nonce>.<ciphertext + tag>` (base64url), so
 * that the text alone names its key. Keys are `kid:base64(32 bytes)`, comma-separated: the first key encrypts, all of
 * them decrypt. To rotate, put a new key first, re-encrypt the texts for which `isCurrent` is false, then drop the old
 * key.
 *
 * Every text is bound to a context, such as `<tenant>/<id of the row>`: in another row it does not decrypt. One key is
 * good for about 2^32 encryptions (random nonces, NIST SP 800-38D); rotate long before.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const VERSION = 'v1';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KID = /^[A-Za-z0-9_-]{1,32}$/;

export type SecretBoxFault = 'malformed' | 'unknown_key' | 'not_authentic';

/**
 * A text that could not be decrypted. The message is for the log: it names the id of the key, never a key or a content.
 */
export class SecretBoxError extends Error {
  constructor(
    readonly code: SecretBoxFault,
    message: string,
  ) {
    super(message);
    this.name = 'SecretBoxError';
  }
}

export interface SecretBox {
  /** The id of the key that encrypts. */
  readonly currentKid: string;
  /** The ids of all keys that decrypt, the current one first. */
  readonly kids: readonly string[];
  /** The prefix of every text that the current key has encrypted. */
  readonly currentPrefix: string;
  /** Encrypts with the current key, or with another configured one. */
  encrypt(plain: string | Buffer, context: string, kid?: string): string;
  /** Decrypts to text. @throws SecretBoxError */
  decrypt(encrypted: string, context: string): string;
  decryptBytes(encrypted: string, context: string): Buffer;
  /** False for a text of an older key, and for a text that is not encrypted. */
  isCurrent(encrypted: string): boolean;
}

/** A random key in the format of the configuration. */
export function newKey(kid: string): string {
  if (!KID.test(kid)) throw new RangeError('a key id is 1 to 32 of A-Z a-z 0-9 _ -');
  return `${kid}:${randomBytes(KEY_BYTES).toString('base64')}`;
}

/** @throws RangeError that names the wrong entry of the list and the fault, without repeating the entry */
export function createSecretBox(keyList: string): SecretBox {
  const keys = parseKeys(keyList);
  const currentKid = keys.keys().next().value!;
  const currentPrefix = `${VERSION}.${currentKid}.`;

  function decryptBytes(encrypted: string, context: string): Buffer {
    const parts = encrypted.split('.');
    if (parts.length !== 4 || parts[0] !== VERSION)
      throw new SecretBoxError('malformed', 'not an encrypted text of a known version');
    const kid = parts[1]!;
    const key = keys.get(kid);
    if (!key) {
      const name = KID.test(kid) ? `'${kid}'` : 'of no valid id';
      throw new SecretBoxError('unknown_key', `encrypted with a key ${name} that is not configured`);
    }
    const nonce = decode(parts[2]!);
    const rest = decode(parts[3]!);
    if (nonce?.length !== NONCE_BYTES || !rest || rest.length < TAG_BYTES) {
      throw new SecretBoxError('malformed', `encrypted text of key '${kid}' is damaged`);
    }
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associatedData(kid, context));
    decipher.setAuthTag(rest.subarray(rest.length - TAG_BYTES));
    const plain = decipher.update(rest.subarray(0, rest.length - TAG_BYTES));
    try {
      return Buffer.concat([plain, decipher.final()]);
    } catch {
      throw new SecretBoxError(
        'not_authentic',
        `encrypted text of key '${kid}' was changed, moved, or its key is another one`,
      );
    }
  }

  return {
    currentKid,
    kids: [...keys.keys()],
    currentPrefix,
    encrypt(plain, context, kid = currentKid) {
      const key = keys.get(kid);
      if (!key) throw new RangeError(`no key '${kid}' is configured`);
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedData(kid, context));
      const bytes = typeof plain === 'string' ? Buffer.from(plain) : plain;
      const rest = Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
      return `${VERSION}.${kid}.${nonce.toString('base64url')}.${rest.toString('base64url')}`;
    },
    decrypt: (encrypted, context) => decryptBytes(encrypted, context).toString('utf8'),
    decryptBytes: decryptBytes,
    isCurrent: (encrypted) => encrypted.startsWith(currentPrefix),
  };
}

function associatedData(kid: string, context: string): Buffer {
  if (context === '') throw new RangeError('an encrypted text is bound to a context');
  return Buffer.from(`${VERSION}.${kid}.${context}`);
}

/** Strict, so that one encrypted text has one spelling: Node's decoder skips foreign characters. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

function parseKeys(keyList: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const [index, entry] of keyList.split(',').entries()) {
    const where = `encryption key ${index + 1}`;
    const colon = entry.indexOf(':');
    if (colon < 0)
      throw new RangeError(
        `${where}: expected kid:base64, such as the output of \`openssl rand -base64 32\` after "k1:"`,
      );
    const kid = entry.slice(0, colon).trim();
    if (!KID.test(kid)) throw new RangeError(`${where}: its id is not 1 to 32 of A-Z a-z 0-9 _ -`);
    if (keys.has(kid)) throw new RangeError(`${where}: the id '${kid}' is there twice`);
    const encoded = entry.slice(colon + 1).trim();
    const key = Buffer.from(encoded, 'base64');
    if (key.toString('base64') !== encoded) throw new RangeError(`${where} ('${kid}'): not valid base64`);
    if (key.length !== KEY_BYTES)
      throw new RangeError(`${where} ('${kid}'): ${key.length} bytes, expected ${KEY_BYTES}`);
    keys.set(kid, key);
  }
  return keys;
}

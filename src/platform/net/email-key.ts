import { domainToASCII } from 'node:url';

/** Characters without a glyph: with one of them, two different mailboxes look the same. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Co}\p{Cn}]/u;

/**
 * The key that makes an address one account: NFC, the domain in lower case as A-labels (IDNA), only the ASCII letters
 * of the local part in lower case. Computed here and never by the database, whose lower case depends on its locale.
 */
export function emailKey(email: string): string {
  const text = email.normalize('NFC');
  const at = text.lastIndexOf('@');
  const local = text.slice(0, at).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const domain = text.slice(at + 1);
  return `${local}@${domainToASCII(domain) || domain.toLowerCase()}`;
}

/**
 * Whether a new account may have the address: NFKC must not change its local part, so that no letter only looks like
 * another one, and nothing in it may be invisible. Older accounts keep theirs.
 */
export function isPlainAddress(email: string): boolean {
  const local = email.normalize('NFC').slice(0, email.normalize('NFC').lastIndexOf('@'));
  return local.normalize('NFKC') === local && !INVISIBLE.test(local);
}

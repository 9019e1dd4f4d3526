/** Checks of variables by the readers that will use them, with errors that state the expected form. */
import { isIP } from 'node:net';
import { parseCidr } from '../net/cidrs';
import { parseUrl } from '../net/parse-url';
import { createSecretBox } from '../crypto/secret-box';

/** Checks an origin. @throws Error that states the form */
export function origin(value: string): void {
  if (parseUrl(value)?.origin !== value) {
    throw new Error(`must list origins such as https://app.example.com, and '${value}' is none`);
  }
}

/** Checks a value of `TRUST_PROXY`. @throws Error that states the form */
export function proxies(value: string): void {
  if (/^(true|false|\d{1,2})$/.test(value)) return;
  for (const entry of value.split(',')) {
    if (!isRange(entry.trim()) && !isIP(entry.trim())) {
      throw new Error('must be true, false, a number of hops, or a list of addresses and ranges such as 10.0.0.0/8');
    }
  }
}

function isRange(value: string): boolean {
  try {
    parseCidr(value);
    return true;
  } catch {
    return false;
  }
}

/** Checks a range. @throws Error that states the form */
export function cidr(value: string): void {
  rephrase('must list ranges such as 10.0.0.0/8', () => parseCidr(value));
}

/** Checks a list of encryption keys. @throws Error that states the form */
export function encryptionKeys(value: string): void {
  rephrase('must list keys as id:base64 of 32 bytes, comma-separated', () => createSecretBox(value));
}

/** Names the expected form of a variable and the value that its reader found. */
function rephrase(rule: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    throw new Error(`${rule}; ${(error as Error).message}`, { cause: error });
  }
}

/**
 * URLs of PostgreSQL. Everything that the driver would find out late, or take for something else, is checked when the
 * configuration is read: a password that is not encoded, a TLS mode that falls back to none, a certificate's file that
 * is not there. No message repeats a part of the URL that may belong to a password.
 */
import { accessSync, constants } from 'node:fs';
import { url, type Variable } from './variables';

const SCHEMES = ['postgres', 'postgresql'];
/** The TLS modes of libpq, with the one that the service uses: a certificate is verified, or there is no TLS. */
const TLS_MODES: Readonly<Record<string, string>> = {
  disable: 'disable',
  require: 'verify-full',
  'verify-ca': 'verify-full',
  'verify-full': 'verify-full',
  'no-verify': 'no-verify',
};
/** Parameters that name a file. */
const FILES = ['sslrootcert', 'sslcert', 'sslkey'];

/** A URL of a PostgreSQL database. */
export function databaseUrl(options: { doc: string }): Variable<string> {
  const checked = url({ schemes: SCHEMES, secret: true, ...options });
  return {
    ...checked,
    read(text) {
      if (/^postgres(ql)?:\/\/[^/?#]*,/.test(text.trim().replace(/\/\/[^/?#]*@/, '//'))) {
        throw new Error('must name one host');
      }
      checked.read(text);
      return withTls(text);
    },
  };
}

/** The URL with a TLS mode that the driver interprets correctly. @throws Error completing "NAME …" */
function withTls(text: string): string {
  const { searchParams } = new URL(text);
  const mode = searchParams.get('sslmode');
  if (mode !== null && !Object.hasOwn(TLS_MODES, mode)) {
    const known = Object.keys(TLS_MODES).join(', ');
    throw new Error(
      `has the sslmode ${/^[a-z-]{1,20}$/.test(mode) ? mode : 'of an unknown form'}; use one of ${known}`,
    );
  }
  // To libpq this is the system's list of authorities, which Node uses unless a file is named.
  if (searchParams.get('sslrootcert') === 'system') searchParams.delete('sslrootcert');
  for (const name of FILES) {
    const file = searchParams.get(name);
    if (file !== null) assertReadable(name, file);
  }
  if (mode !== null) searchParams.set('sslmode', TLS_MODES[mode] as string);
  const query = searchParams.toString().replaceAll('+', '%20');
  const [withoutQuery = ''] = text.split('?', 1);
  return query === '' ? withoutQuery : `${withoutQuery}?${query}`;
}

/** @throws Error completing "NAME …" if the file of a URL's parameter cannot be read */
export function assertReadable(parameter: string, file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new Error(`has ${parameter}=${file}, which cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a certificate that an authority of a test's own has signed. */
export interface Certificate {
  authority: string;
  certificate: string;
  key: string;
}

/** Makes an authority and a certificate for the name `localhost`, which is not valid for an address. */
export function makeCertificate(folder: string, name: string): Certificate {
  const file = (suffix: string): string => join(folder, `${name}-${suffix}`);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe', timeout: 30_000 });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-days',
    '2',
    '-subj',
    `/CN=authority ${name}`,
    '-keyout',
    file('authority.key'),
    '-out',
    file('authority.pem'),
  );
  openssl('req', ...key, '-subj', '/CN=localhost', '-keyout', file('server.key'), '-out', file('server.csr'));
  writeFileSync(file('extensions'), 'subjectAltName=DNS:localhost\n');
  const signer = ['-CA', file('authority.pem'), '-CAkey', file('authority.key'), '-CAcreateserial'];
  openssl(
    'x509',
    '-req',
    '-in',
    file('server.csr'),
    ...signer,
    '-days',
    '2',
    '-extfile',
    file('extensions'),
    '-out',
    file('server.pem'),
  );
  return { authority: file('authority.pem'), certificate: file('server.pem'), key: file('server.key') };
}

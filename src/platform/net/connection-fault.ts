/** Reasons for which a server could not be reached, for the operator. */

const NO_TLS = /does not support SSL connections|wrong version number|packet length too long/;
const UNKNOWN_AUTHORITY = /^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_|CERT_UNTRUSTED|INVALID_CA)/;

/**
 * The reason of a connection's failure, with the next step where TLS is to blame.
 * @param authorityParameter the parameter of the URL that names the file of an authority
 */
export function connectionFault(error: unknown, authorityParameter: string): string {
  const { code, message } = rootOf(error);
  const reason = message.replace(/\s+/g, ' ').trim();
  if (NO_TLS.test(reason)) return 'the server has no TLS: turn it on there, or leave it out of the URL';
  if (UNKNOWN_AUTHORITY.test(code)) {
    return `${code}: no known authority has signed the certificate; name its file with ${authorityParameter}=FILE`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the certificate is for another host: ${reason}`;
  return reason.includes(code) ? reason : `${code} ${reason}`;
}

/** The error that came first, of those that wrap each other or were collected for several addresses. */
function rootOf(error: unknown): { code: string; message: string } {
  const { cause, errors, lastNodeError, code, message } = error as {
    cause?: unknown;
    errors?: unknown[];
    /** Of a cluster of Redis. */
    lastNodeError?: unknown;
    code?: unknown;
    message?: unknown;
  };
  const inner = cause ?? errors?.[0] ?? lastNodeError;
  if (inner instanceof Error) return rootOf(inner);
  return { code: typeof code === 'string' ? code : '', message: String(message) };
}

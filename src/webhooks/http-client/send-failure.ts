/**
 * Why a webhook got no complete response, in two texts: one for the tenant, and one for the log. The first is from a
 * closed list of phrases, so that it can be filtered by, and so that it reveals nothing about a refused destination (an
 * address, an open port, a certificate's names).
 */

export type SendError =
  | 'destination not allowed'
  | 'host not found or not allowed'
  | 'host unreachable'
  | 'connection refused'
  | 'connection reset'
  | 'connection failed'
  | 'TLS error'
  | 'timed out'
  | 'invalid response'
  | 'invalid request'
  | 'challenge not answered'
  | 'not signed'
  | 'not sent';

/** An error with a known public text. */
export class SendFailure extends Error {
  constructor(
    readonly publicError: SendError,
    internal: string,
    cause?: unknown,
  ) {
    super(internal, { cause });
    this.name = 'SendFailure';
  }
}

const BY_CODE: Readonly<Record<string, SendError>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ECONNABORTED: 'connection reset',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'host unreachable',
  EHOSTDOWN: 'host unreachable',
  ENETUNREACH: 'host unreachable',
  ENETDOWN: 'host unreachable',
  EADDRNOTAVAIL: 'host unreachable',
  // a local firewall that rejects
  EACCES: 'host unreachable',
  EPERM: 'host unreachable',
  EPROTO: 'TLS error',
  UND_ERR_HEADERS_OVERFLOW: 'invalid response',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'invalid response',
  UND_ERR_INVALID_ARG: 'invalid request',
  UND_ERR_NOT_SUPPORTED: 'invalid request',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'invalid request',
};

/** Classifies errors of undici and of Node's sockets. `answered`: a byte of the response had arrived. */
export function toSendFailure(error: unknown, answered: boolean): SendFailure {
  if (error instanceof SendFailure) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const name = typeof code === 'string' ? code : '';
  return new SendFailure(publicErrorOf(name, answered), `${name} ${String(message)}`.trim(), error);
}

function publicErrorOf(code: string, answered: boolean): SendError {
  // undici's name for "the other side closed": half a response, or none.
  if (code === 'UND_ERR_SOCKET') return answered ? 'invalid response' : 'connection reset';
  if (/^ERR_(SSL|TLS)/.test(code)) return 'TLS error';
  // After the first byte, only errors of the parser remain, which have no code of their own.
  return BY_CODE[code] ?? (answered ? 'invalid response' : 'connection failed');
}

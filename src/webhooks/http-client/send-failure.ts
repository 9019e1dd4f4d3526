/**
 * Why a webhook got no whole answer, in two texts: one that the tenant may read, and one for the log. The first is a
 * closed list of phrases, so that it can be filtered by, and so that nothing of what lies behind a refused destination
 * (an address, a port that answered, a certificate's names) can slip into it.
 */

export type SendError =
  | 'destination not allowed'
  | 'host not found'
  | 'host unreachable'
  | 'connection refused'
  | 'connection reset'
  | 'connection failed'
  | 'TLS error'
  | 'timed out'
  | 'invalid response'
  | 'invalid request'
  | 'not sent';

/** An error whose public text is already known. */
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
  // a firewall of our own that drops by refusing
  EACCES: 'host unreachable',
  EPERM: 'host unreachable',
  EPROTO: 'TLS error',
  UND_ERR_HEADERS_OVERFLOW: 'invalid response',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'invalid response',
  UND_ERR_INVALID_ARG: 'invalid request',
  UND_ERR_NOT_SUPPORTED: 'invalid request',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'invalid request',
};

/** Sorts what undici and Node's sockets throw. `answered`: a byte of the answer had come before it broke. */
export function toSendFailure(error: unknown, answered: boolean): SendFailure {
  if (error instanceof SendFailure) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const name = typeof code === 'string' ? code : '';
  return new SendFailure(publicErrorOf(name, answered), `${name} ${String(message)}`.trim(), error);
}

function publicErrorOf(code: string, answered: boolean): SendError {
  // undici's name for "the other side closed": half an answer, or none.
  if (code === 'UND_ERR_SOCKET') return answered ? 'invalid response' : 'connection reset';
  if (/^ERR_(SSL|TLS)/.test(code)) return 'TLS error';
  // After a first byte, what is left are the parser's complaints, which have no code of their own.
  return BY_CODE[code] ?? (answered ? 'invalid response' : 'connection failed');
}

import { AppError, type FieldFault, PROBLEM_STATUS, type ProblemCode } from '../errors';

/** A problem document (RFC 9457) as the contract has it. */
export interface Problem {
  type: ProblemCode;
  title: string;
  status: number;
  detail: string;
  instance: string;
  request_id: string;
  errors?: FieldFault[];
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8';

/** The slug in words: `not_found` → `Not Found`. */
export function problemTitle(code: ProblemCode): string {
  return code
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}

/** The document for an error, for a request to `path`. */
export function toProblem(error: AppError, path: string, requestId: string): Problem {
  return {
    type: error.code,
    title: problemTitle(error.code),
    status: PROBLEM_STATUS[error.code],
    detail: error.publicMessage,
    instance: path,
    request_id: requestId,
    ...(error.errors ? { errors: error.errors } : {}),
    ...error.members,
  };
}

/** Fastify's and Nest's own refusals, by the status they carry, in our terms. */
const CODE_OF_STATUS: Record<number, ProblemCode> = {
  400: 'malformed_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  408: 'request_timeout',
  409: 'conflict',
  412: 'version_conflict',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  416: 'range_not_satisfiable',
  422: 'validation_error',
  429: 'rate_limited',
  503: 'unavailable',
};

const DETAIL_OF_CODE: Partial<Record<ProblemCode, string>> = {
  malformed_request: 'The request could not be read.',
  payload_too_large: 'The request body is larger than this route takes.',
  unsupported_media_type: 'The request body must be application/json.',
  not_found: 'There is nothing at this address.',
  version_conflict: 'What is there is not what If-Match or If-Unmodified-Since names.',
  range_not_satisfiable: 'The range begins behind the end of the file.',
};

/** The length of a file whose requested range is invalid: the plugin of static files adds it to its error. */
function contentRange(error: unknown): Record<string, string> | undefined {
  const range = (error as { headers?: Record<string, unknown> }).headers?.['Content-Range'];
  return typeof range === 'string' ? { 'Content-Range': range } : undefined;
}

/** Any thrown value as an AppError: an unknown one is an internal error. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const status =
    (error as { statusCode?: unknown }).statusCode ?? (error as { getStatus?: () => number }).getStatus?.call(error);
  const code = typeof status === 'number' ? CODE_OF_STATUS[status] : undefined;
  if (code) {
    return new AppError(code, DETAIL_OF_CODE[code] ?? problemTitle(code), {
      internal: (error as Error).message,
      cause: error,
      headers: contentRange(error),
    });
  }
  return new AppError('internal_error', 'Something went wrong on our side.', {
    internal: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}

import type { components } from './schema';

type Problem = components['schemas']['Problem'];

/** The kind of a problem, for programs; `unknown` if the response did not come from the service. */
export type ProblemSlug = Problem['type'] | 'unknown';

/** One field that breaks a rule. */
export interface FieldFault {
  /** A dotted path, such as `items.0.quantity`. */
  field: string;
  message: string;
  /** The rule that is broken. */
  code: string;
}

const FAULTS_IN_MESSAGE = 5;

/** A sign-in whose second factor is due. */
export interface SecondFactorDue {
  challenge: string;
  methods: ('totp' | 'passkey')[];
  /** Seconds for which the challenge is good. */
  expires_in: number;
  passkey_options?: Record<string, unknown>;
}

/** A request that was refused, or failed: the problem (RFC 9457) that the service answered with. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly slug: ProblemSlug;
  readonly title: string;
  readonly detail: string;
  /** For logs and support; undefined if the response did not come from the service. */
  readonly request_id: string | undefined;
  /** Every fault of the request's fields; empty unless the slug is `validation_error`. */
  readonly errors: readonly FieldFault[];
  /** With `second_factor_required`: the data that `answerChallenge` needs to complete the sign-in. */
  readonly secondFactor: SecondFactorDue | undefined;
  /** The answer's head: `Retry-After` and others. */
  readonly headers: Headers;

  constructor(response: Response, body: unknown) {
    const problem = problemIn(body);
    const slug = problem?.type ?? 'unknown';
    const detail = problem?.detail ?? `${response.status} ${response.statusText} without a problem document`;
    const errors = problem?.errors ?? [];
    const faults = errors.slice(0, FAULTS_IN_MESSAGE).map(({ field, message }) => `${field} ${message}`);
    super([`${response.status} ${slug}: ${detail}`, ...faults].join('; '));
    this.status = response.status;
    this.slug = slug;
    this.title = problem?.title ?? response.statusText;
    this.detail = detail;
    this.request_id = problem?.request_id ?? response.headers.get('x-request-id') ?? undefined;
    this.errors = errors;
    this.secondFactor = slug === 'second_factor_required' ? (body as SecondFactorDue) : undefined;
    this.headers = response.headers;
  }
}

/** A balancer answers with pages of its own: only what has a problem's shape is taken for one. */
function problemIn(body: unknown): (Problem & { errors?: FieldFault[] }) | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { type, detail, errors } = body as Record<string, unknown>;
  if (typeof type !== 'string' || typeof detail !== 'string') return undefined;
  if (errors !== undefined && !Array.isArray(errors)) return undefined;
  return body as Problem;
}

/** The vocabulary of an audit entry, and the sanitizing of its values for storage and display. */

/** The origin of a request: stored with the entry, and erased with the person. */
export interface RequestOrigin {
  readonly requestId?: string;
  /** An IPv4 address, or the /64 of an IPv6 address. */
  readonly network?: string;
  readonly userAgent?: string;
}

/** The actor of an entry. A `Caller` is one; a job or a command of the operator makes its own. */
export interface AuditedCaller {
  readonly tenantId: string;
  readonly actor: {
    /** `user`, `api_key`, `operator`, `system`, or `anonymous` for a caller without a credential. */
    readonly type: string;
    readonly id: string | null;
    readonly email?: string;
    /** By which means, such as the id of a connection or directory. */
    readonly via?: string;
  };
  readonly session?: { readonly id: string };
  readonly origin?: RequestOrigin;
  /** The key of the e-mail address of a sign-in: for the security log alone, as an HMAC. */
  readonly addressKey?: string;
}

export type AuditOutcome = 'success' | 'denied' | 'failure';

/** The value before and after a change. */
export type Change = readonly [before: unknown, after: unknown];

/** A change of a personal value: its salted hash enters the log, and the value is erased with the person. */
export interface PersonalChange {
  readonly userId: string;
  readonly personal: Change;
}

/** A new entry. */
export interface AuditEntry {
  /** Dotted, such as `report.created`. */
  readonly action: string;
  readonly target: { readonly type: string; readonly id: string | null };
  readonly changes?: Readonly<Record<string, Change | PersonalChange>>;
  readonly outcome?: AuditOutcome;
  /** The number of occurrences, if one entry represents several. */
  readonly count?: number;
  /** An action of everyday work, of which the security log has no line. */
  readonly isRoutine?: true;
}

/** The change of a secret: only the fact of the change. */
export const SECRET_CHANGE: Change = ['•', '•'];

const MAX_TEXT = 512;
/** JSON of one change; a longer one is stored as a truncated text. */
const MAX_CHANGE = 4_096;
/** A text that needs none of the work below, as most are. */
const PLAIN = /^[\x20-\x7e]*$/;
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text without characters that move a cursor or change the direction of writing, cut at 512 characters. */
export function auditText(text: string): string {
  if (text.length <= MAX_TEXT && PLAIN.test(text)) return text;
  // Cut before and after: a text of a megabyte is not searched, and an escape counts with its written length.
  const escaped = Buffer.from(text.slice(0, 2 * MAX_TEXT), 'utf8')
    .toString('utf8')
    .replace(CONTROLS, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const characters = Array.from(escaped);
  return characters.length > MAX_TEXT ? `${characters.slice(0, MAX_TEXT - 1).join('')}…` : escaped;
}

/** The JSON text of a change, as it is stored, shown and hashed. */
export function changeText([before, after]: Change): string {
  const text = JSON.stringify([safe(before, 0), safe(after, 0)]);
  return text.length <= MAX_CHANGE ? text : JSON.stringify([asText(before), asText(after)]);
}

function asText(value: unknown): string | null {
  return value === null || value === undefined ? null : auditText(JSON.stringify(value));
}

function safe(value: unknown, depth: number): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return auditText(value);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (value instanceof Date) return value.toISOString();
  if (depth > 3) return '…';
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => safe(item, depth + 1));
  if (typeof value !== 'object') return auditText(typeof value);
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 100)
      .map(([name, item]) => [auditText(name), safe(item, depth + 1)]),
  );
}

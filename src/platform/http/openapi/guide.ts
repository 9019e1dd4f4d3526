/** The introduction of the document: rules of every route. */
import { PROBLEM_STATUS, type ProblemCode } from '../../errors';
import { PROBLEMS } from './problem-kinds';
import type { Product } from './product';

/** The table of all problems, from the same list as the responses. */
function problemTable(): string {
  const rows = (Object.keys(PROBLEM_STATUS) as ProblemCode[]).map(
    (code) => `| \`${code}\` | ${PROBLEM_STATUS[code]} | ${PROBLEMS[code].meaning} |`,
  );
  return ['| type | status | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

/** Markdown for `info.description`. */
export function guide({ introduction, sample }: Product): string {
  return `${introduction}

## Start here
1. \`POST /api/v1/auth/register\` makes your company and signs you in.
2. Send the \`access_token\` of the answer with every request: \`Authorization: Bearer …\`. In this page, press
   **Authorize** and paste it there.
3. ${sample.step}

An access token lives for 15 minutes; \`POST /api/v1/auth/refresh\` exchanges the refresh token for a new pair. The
tenant always comes from the credential, never from a path, header or body; what is another tenant's does not exist (404).

## Everywhere
- **Bodies** are JSON in UTF-8 with \`snake_case\` names, at most 1 MiB and 32 levels deep. Unknown fields are refused.
- **Ids** are UUIDv7 in lower case, made by the service.
- **Times** are RFC 3339 in UTC with milliseconds: \`2026-01-31T12:00:00.000Z\`.
- **Money** is a decimal string such as \`"59.98"\`, exact, with as many digits after the point as the currency has minor
  units (ISO 4217): JPY 0, USD 2, KWD 3. A request may also send a JSON number, of at most 15 significant digits.
- **Request ids**: send \`X-Request-Id\` (1 to 128 of \`A-Za-z0-9._-\`) to find a request again; else the service makes
  one. Every answer and every problem has it.
- A trailing slash makes no difference. \`HEAD\` is possible wherever \`GET\` is.

## Lists
\`limit\` is 1 to 100, and 20 if left out. An answer has \`data\`, \`has_more\` and \`next_cursor\`, which goes into
\`cursor\` for the next page (the \`Link\` header has the whole address). Newest first; nothing is skipped or repeated while
entries are being added. A cursor is good for the list, tenant and filters that it came from.

## Safe repetition
A \`POST\` that creates takes an \`Idempotency-Key\`. The same key with the same body gets the first answer again, byte for
byte, with \`Idempotency-Replayed: true\`, for 24 hours. Only successes are kept: a refused request leaves its key free.

## Versions
Every single resource has a strong \`ETag\`. Send it as \`If-None-Match\` when reading (304 if nothing changed) and as
\`If-Match\` when changing (412 \`version_conflict\` if someone else was faster).

## Limits
\`RateLimit\` and \`RateLimit-Policy\` (IETF draft 10) say what is left. By default a tenant has 200 requests a second with
bursts of 1,000, and an address 600 a minute on routes without a credential. Over the limit: 429 with \`Retry-After\`.

## Problems
Every error is \`application/problem+json\` (RFC 9457). Programs look at \`type\`, people read \`detail\`:

${problemTable()}`;
}

/** Fields of requests with one of several proofs. */
import type { FieldFault } from '../../platform/errors';
import { TextField, ValueField } from '../../platform/http/requests/fields';

/** A code of the authenticator app, beside other proofs. */
export const CodeField = (): PropertyDecorator =>
  TextField({ description: 'A code of the authenticator app.', min: 1, max: 20, example: '492039', optional: true });

/** The response of the browser to a challenge for a passkey, beside other proofs. */
export const PasskeyField = (): PropertyDecorator =>
  ValueField({
    description: 'The response of the browser to `passkey_options`.',
    optional: true,
    api: { type: 'object', additionalProperties: true },
  });

/** One fault, at the first of the proofs, unless the request has exactly one of them. */
export function exactlyOne<Name extends string>(
  request: Partial<Record<Name, unknown>>,
  names: readonly [Name, ...Name[]],
): FieldFault[] {
  if (names.filter((name) => request[name] !== undefined).length === 1) return [];
  const message = `send one of ${names.slice(0, -1).join(', ')} and ${names[names.length - 1]}`;
  return [{ field: names[0], message, code: 'one_of' }];
}

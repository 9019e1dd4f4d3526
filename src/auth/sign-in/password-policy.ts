import { Injectable } from '@nestjs/common';
import { ValidationFailed } from '../../platform/errors';

const MIN_LENGTH = 8;
const BLANK = /^\s*$/u;

/** The forbidden passwords. */
export interface PasswordContext {
  readonly email?: string;
  readonly tenantName?: string;
  /** The field of the request that has the password. */
  readonly field?: string;
}

let common: ReadonlySet<string> | undefined;

/** The packaged list, without entries below the minimum length. It is loaded at its first use. */
function commonPasswords(): ReadonlySet<string> {
  if (!common) {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a list of a megabyte, for new passwords alone
    const { dictionary } = require('@zxcvbn-ts/language-common') as typeof import('@zxcvbn-ts/language-common');
    const list = dictionary['passwords-common'] as readonly string[];
    common = new Set(list.filter((entry) => entry.length >= MIN_LENGTH).map(comparable));
  }
  return common;
}

function comparable(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/** Which passwords may be chosen. The length is the field's own rule; there is none on kinds of characters. */
@Injectable()
export class PasswordPolicy {
  /** @throws ValidationFailed (`common_password`) for a common password */
  check(password: string, context: PasswordContext = {}): void {
    const chosen = comparable(password);
    const own = [context.email, context.tenantName].filter((text) => text !== undefined).map(comparable);
    if (!BLANK.test(chosen) && !own.includes(chosen.trim()) && !commonPasswords().has(chosen)) return;
    throw new ValidationFailed([
      {
        field: context.field ?? 'password',
        message: 'must not be a common password, the e-mail address, or the name of the company',
        code: 'common_password',
      },
    ]);
  }
}

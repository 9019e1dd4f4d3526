import { UnsafeNumber } from '../platform/http/requests/json-body';

/*
 * Money is a value of minor units inside the service and a decimal string outside of it. No amount is ever a double: a
 * JSON number is taken as the decimal that it prints as, and only if this is the text that was sent.
 */

/** Amounts of this size or more are refused, in any currency. */
const MAX_WHOLE_DIGITS = 12;
/** Every decimal of up to 15 significant digits survives the way through a double; some of 16 do not. */
const MAX_NUMBER_DIGITS = 15;
/** More than any amount needs, and cheap to check. */
const MAX_LENGTH = 64;

const DECIMAL = /^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;

/**
 * `money_format`: not a decimal, or one with an exponent; `money_precision`: a number with more digits than a
 * double keeps; `money_range`: negative, or 10^12 and above; `money_digits`: more digits after the point than the
 * currency has.
 */
export type MoneyFaultCode = 'money_format' | 'money_precision' | 'money_range' | 'money_digits';

export interface MoneyFault {
  readonly code: MoneyFaultCode;
  readonly message: string;
}

/** An exact amount: minor units, of which the currency has so many digits after the point. */
export class Money {
  constructor(
    readonly minor: bigint,
    readonly digits: number,
  ) {}

  /** At least one minor unit. */
  get isPositive(): boolean {
    return this.minor > 0n;
  }

  /** Exact for any number of lines; the quantities must be integers, which the validation of an order ensures. */
  static sumOf(lines: readonly { quantity: number; unitPrice: Money }[], digits: number): Money {
    let sum = 0n;
    for (const line of lines) sum += BigInt(line.quantity) * line.unitPrice.minor;
    return new Money(sum, digits);
  }

  /** The decimal with exactly as many digits after the point as the currency has. */
  toString(): string {
    if (this.minor < 0n) return `-${new Money(-this.minor, this.digits).toString()}`;
    if (this.digits === 0) return this.minor.toString();
    const digits = this.minor.toString().padStart(this.digits + 1, '0');
    return `${digits.slice(0, -this.digits)}.${digits.slice(-this.digits)}`;
  }

  /** Two spellings of one amount are one request. */
  canonicalForm(): bigint {
    return this.minor;
  }
}

/**
 * Reads a decimal string, or a number as parseJsonBody made it; input of any kind gets an answer, never an exception.
 * @param digits digits after the point of the currency
 */
export function parseMoney(input: unknown, digits: number): Money | MoneyFault {
  if (typeof input === 'string') return parseString(input, digits);
  if (typeof input === 'number') return parseNumber(input, digits);
  if (input instanceof UnsafeNumber) return /[eE]/.test(input.source) ? EXPONENT : PRECISION;
  return FORMAT;
}

function parseString(text: string, digits: number): Money | MoneyFault {
  if (text.length > MAX_LENGTH) return LENGTH;
  if (DECIMAL.test(text)) return parseDecimal(text, digits);
  if (text.startsWith('-') && DECIMAL.test(text.slice(1))) return NEGATIVE;
  return /^[0-9.]+[eE][+-]?[0-9]+$/.test(text) ? EXPONENT : FORMAT;
}

function parseNumber(number: number, digits: number): Money | MoneyFault {
  if (!Number.isFinite(number)) return FORMAT;
  if (number < 0 || Object.is(number, -0)) return NEGATIVE;
  if (number >= 10 ** MAX_WHOLE_DIGITS) return TOO_LARGE;
  const text = String(number);
  // Below the limit above, only numbers under a millionth print with an exponent, and no currency has such units.
  if (text.includes('e')) return tooManyDigits(digits);
  if (text.length > MAX_NUMBER_DIGITS && significantDigits(text) > MAX_NUMBER_DIGITS) return PRECISION;
  return parseDecimal(text, digits);
}

/** `text` matches DECIMAL, so its length is its size. */
function parseDecimal(text: string, digits: number): Money | MoneyFault {
  const point = text.indexOf('.');
  const whole = point < 0 ? text : text.slice(0, point);
  const fraction = point < 0 ? '' : text.slice(point + 1);
  if (whole.length > MAX_WHOLE_DIGITS) return TOO_LARGE;
  if (fraction.length > digits) return tooManyDigits(digits);
  return new Money(BigInt(whole + fraction.padEnd(digits, '0')), digits);
}

function significantDigits(decimal: string): number {
  return decimal.replace('.', '').replace(/^0+/, '').length;
}

const FORMAT: MoneyFault = {
  code: 'money_format',
  message: 'must be an amount written as plain digits with an optional decimal point, such as "29.99"',
};
const LENGTH: MoneyFault = { code: 'money_format', message: `must be at most ${MAX_LENGTH} characters long` };
const EXPONENT: MoneyFault = { code: 'money_format', message: 'must be written without an exponent' };
const PRECISION: MoneyFault = {
  code: 'money_precision',
  message: `must have at most ${MAX_NUMBER_DIGITS} significant digits as a number; send it as a string instead`,
};
const NEGATIVE: MoneyFault = { code: 'money_range', message: 'must not be negative' };
const TOO_LARGE: MoneyFault = { code: 'money_range', message: 'must be less than 1000000000000' };

function tooManyDigits(digits: number): MoneyFault {
  const allowed = digits === 0 ? 'no digits' : `at most ${digits} digits`;
  return { code: 'money_digits', message: `must have ${allowed} after the decimal point in this currency` };
}

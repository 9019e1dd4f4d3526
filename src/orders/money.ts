import { UnsafeNumber } from '../platform/http/requests/json-body';

/*
 * Money is a bigint of minor units inside the service and a decimal string outside of it. No amount is ever held
 * in a double: a JSON number is taken as the decimal that it prints as, and only where that is what was written.
 */

/** Amounts from here on are refused, whatever the currency. */
const MAX_WHOLE_DIGITS = 12;
/** Every decimal of up to 15 significant digits survives the way through a double; some of 16 do not. */
const MAX_NUMBER_DIGITS = 15;
/** More than any amount needs, and little enough to look at. */
const MAX_LENGTH = 64;

const DECIMAL = /^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;

/**
 * `money_format`: not a decimal at all, or one with an exponent; `money_precision`: a number with more digits than a
 * double keeps; `money_range`: negative, or 10^12 and above; `money_digits`: more digits after the point than the
 * currency has.
 */
export type MoneyFaultCode = 'money_format' | 'money_precision' | 'money_range' | 'money_digits';

export interface MoneyFault {
  readonly code: MoneyFaultCode;
  readonly message: string;
}

/** An amount in minor units, or the fault of the input. */
export type Money = { readonly ok: true; readonly minor: bigint } | { readonly ok: false; readonly fault: MoneyFault };

/**
 * Reads a decimal string, or a number as parseJsonBody made it; input of any kind gets an answer, never an exception.
 */
export function parseMoney(input: unknown, minorUnits: number): Money {
  if (typeof input === 'string') return parseString(input, minorUnits);
  if (typeof input === 'number') return parseNumber(input, minorUnits);
  if (input instanceof UnsafeNumber) return refuse(/[eE]/.test(input.source) ? EXPONENT : PRECISION);
  return refuse(FORMAT);
}

/** The amount with exactly as many digits after the point as the currency has. */
export function formatMoney(minor: bigint, minorUnits: number): string {
  if (minorUnits === 0) return minor.toString();
  if (minor < 0n) return `-${formatMoney(-minor, minorUnits)}`;
  const digits = minor.toString().padStart(minorUnits + 1, '0');
  return `${digits.slice(0, -minorUnits)}.${digits.slice(-minorUnits)}`;
}

/** Exact for any number of lines; the quantities must be integers, which the validation of an order sees to. */
export function sumOfLines(lines: readonly { quantity: number; unitPrice: bigint }[]): bigint {
  let sum = 0n;
  for (const line of lines) sum += BigInt(line.quantity) * line.unitPrice;
  return sum;
}

/** At least one minor unit. */
export function isPositive(minor: bigint): boolean {
  return minor > 0n;
}

function parseString(text: string, minorUnits: number): Money {
  if (text.length > MAX_LENGTH) return refuse(LENGTH);
  if (DECIMAL.test(text)) return parseDecimal(text, minorUnits);
  if (text.startsWith('-') && DECIMAL.test(text.slice(1))) return refuse(NEGATIVE);
  return refuse(/^[0-9.]+[eE][+-]?[0-9]+$/.test(text) ? EXPONENT : FORMAT);
}

function parseNumber(number: number, minorUnits: number): Money {
  if (!Number.isFinite(number)) return refuse(FORMAT);
  if (number < 0 || Object.is(number, -0)) return refuse(NEGATIVE);
  if (number >= 10 ** MAX_WHOLE_DIGITS) return refuse(TOO_LARGE);
  const text = String(number);
  // Below the limit above, only numbers under a millionth print with an exponent, and no currency has such units.
  if (text.includes('e')) return refuse(tooManyDigits(minorUnits));
  if (text.length > MAX_NUMBER_DIGITS && significantDigits(text) > MAX_NUMBER_DIGITS) return refuse(PRECISION);
  return parseDecimal(text, minorUnits);
}

/** `text` matches DECIMAL, so its length tells its size. */
function parseDecimal(text: string, minorUnits: number): Money {
  const point = text.indexOf('.');
  const whole = point < 0 ? text : text.slice(0, point);
  const fraction = point < 0 ? '' : text.slice(point + 1);
  if (whole.length > MAX_WHOLE_DIGITS) return refuse(TOO_LARGE);
  if (fraction.length > minorUnits) return refuse(tooManyDigits(minorUnits));
  return { ok: true, minor: BigInt(whole + fraction.padEnd(minorUnits, '0')) };
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

function tooManyDigits(minorUnits: number): MoneyFault {
  const allowed = minorUnits === 0 ? 'no digits' : `at most ${minorUnits} digits`;
  return { code: 'money_digits', message: `must have ${allowed} after the decimal point in this currency` };
}

function refuse(fault: MoneyFault): Money {
  return { ok: false, fault };
}

import { isUtf8 } from 'node:buffer';

/**
 * The only parser of request bodies. It is stricter than JSON.parse if two parsers could read one body differently
 * (encoding, byte order mark, duplicate keys), if a value would be lost (numbers that a double cannot hold), and if
 * PostgreSQL refuses valid JSON (NUL, lone surrogates). JSON.parse checks the grammar; one linear scan before it and
 * one count after it do the rest.
 */

const MAX_DEPTH = 32;
const MAX_TRUSTED_DIGITS = 15;
/**
 * Bound on the cost of reading a body, in values: the largest batch comes near, and more would take a quarter of a
 * second.
 */
const MAX_COST = 120_000;
/** Maximum members of one object if the route sets no other: each new key is interned, and a wide object is slow. */
const MAX_MEMBERS = 1_000;
const MEMBER_COST = 3;
const UNSAFE_NUMBER_COST = 4;
// A hostile body can hold a hundred thousand faults; its response must not.
const MAX_FAULTS = 100;

/** Gets 400. The message may be shown to the client; `position` counts UTF-16 units from 0. */
export class MalformedJson extends Error {
  override readonly name = 'MalformedJson';

  constructor(
    message: string,
    readonly position?: number,
  ) {
    super(message);
  }
}

export interface BodyFault {
  field: string;
  message: string;
  code: string;
}

/** Gets 422: the body is JSON, but a string in it is not text. */
export class InvalidText extends Error {
  override readonly name: string = 'InvalidText';

  constructor(readonly faults: BodyFault[]) {
    super('The body holds values that cannot be accepted');
  }
}

/** Gets 422, as its parent: a number that no field of a double can take, such as 1e400. */
export class InvalidNumber extends InvalidText {
  override readonly name = 'InvalidNumber';
}

/** Gets 422, as its parent: more values than any valid request, refused before they are read. */
export class TooManyValues extends InvalidText {
  override readonly name = 'TooManyValues';

  constructor() {
    super([{ field: '', message: 'must hold fewer values', code: 'max_values' }]);
  }
}

/** Gets 422, as its parent: an object with more members than any valid request has. */
export class TooManyMembers extends InvalidText {
  override readonly name = 'TooManyMembers';

  constructor(max: number) {
    super([{ field: '', message: `must not hold an object of more than ${max} members`, code: 'max_members' }]);
  }
}

/** A number token that a double may not hold as a decimal: with an exponent, or over 15 digits. */
export class UnsafeNumber {
  constructor(readonly source: string) {}
}

/** Whether a parsed value is a JSON object. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof UnsafeNumber);
}

/** @param maxMembers maximum members of one object */
export function parseJsonBody(body: Buffer, maxMembers = MAX_MEMBERS): unknown {
  if (body.length === 0) throw new MalformedJson('The body is empty');
  if (!isUtf8(body)) throw new MalformedJson('The body is not valid UTF-8');
  const text = body.toString('utf8');
  if (text.charCodeAt(0) === 0xfeff) throw new MalformedJson('The body begins with a byte order mark', 0);

  const { members, unsafe } = scan(text, maxMembers);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformed(error);
  }
  // Only a repeated key makes valid JSON have more members in its text than in its value.
  if (countMembers(value) !== members) throw duplicateKey(text);
  // Raw NUL is no JSON and raw surrogates are no UTF-8, so bad text can only come from an escape.
  if (text.includes('\\u')) refuseBadText(value);
  return unsafe === undefined ? value : withUnsafeNumbers(text, unsafe);
}

/**
 * Turns every UnsafeNumber in the tree back into a plain number, in place, for fields that are doubles. @throws
 * InvalidNumber with every number that is not finite
 */
export function toPlainNumbers(value: unknown): unknown {
  const faults: BodyFault[] = [];
  const plain = mapNodes(value, [], (node, path) => {
    if (!(node instanceof UnsafeNumber)) return node;
    const number = Number(node.source);
    if (!Number.isFinite(number)) report(faults, path, 'is too large for a number', 'invalid_number');
    return number;
  });
  if (faults.length > 0) throw new InvalidNumber(faults);
  return plain;
}

const NOT_TEXT = /[\0\p{Surrogate}]/u;
const NOT_ONE_LINE = /[\0-\x1f\x7f-\x9f\p{Surrogate}]/u;
const NOT_LINES = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\p{Surrogate}]/u;

/** The fault of a text, or undefined. Multi-line text may hold tabs and line breaks. */
export function textFault(text: string, multiline: boolean): string | undefined {
  if (!(multiline ? NOT_LINES : NOT_ONE_LINE).test(text)) return undefined;
  if (NOT_TEXT.test(text)) return notText(text);
  return `must not contain control characters${multiline ? ' other than tabs and line breaks' : ''}`;
}

/** Marks that reverse the order of the text around them, and so make a name look like another. */
const BIDI_CONTROL = /\p{Bidi_Control}/u;
/** A character with ink; the blank pattern of Braille and the null note head are symbols without any. */
const VISIBLE = /(?!\p{Default_Ignorable_Code_Point}|[\u2800\u{1d159}])[\p{L}\p{N}\p{P}\p{S}\p{Co}]/u;

/** The reason why a text is no acceptable name, or undefined: a reader must see it, and see it as it is. */
export function nameFault(text: string): string | undefined {
  if (BIDI_CONTROL.test(text)) return 'must not contain marks that change the direction of text';
  return VISIBLE.test(text) ? undefined : 'must have a visible character';
}

function notText(text: string): string {
  const hasNul = text.includes('\0');
  return hasNul ? 'must not contain the NUL character' : 'must be well-formed Unicode, without lone surrogates';
}

/**
 * Runs before JSON.parse, so it must accept any input. On valid JSON its view of strings and tokens is exact; on other
 * text it may be wrong, and JSON.parse refuses the text afterwards.
 */
function scan(text: string, maxMembers: number): { members: number; unsafe: number[] | undefined } {
  const length = text.length;
  /** Members of the object that is open at each depth. */
  const width = new Array<number>(MAX_DEPTH + 1).fill(0);
  let depth = 0;
  let members = 0;
  let cost = 0;
  let unsafe: number[] | undefined;
  for (let at = 0; at < length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x22 /* " */) {
      at = stringEnd(text, at);
      if (at < 0) break;
    } else if (char === 0x2c /* , */) {
      if (++cost > MAX_COST) throw new TooManyValues();
    } else if (char === 0x3a /* : */) {
      members++;
      cost += MEMBER_COST;
      if (++width[depth]! > maxMembers) throw new TooManyMembers(maxMembers);
    } else if (char === 0x7b /* { */ || char === 0x5b /* [ */) {
      if (++depth > MAX_DEPTH) throw new MalformedJson(`The body is nested deeper than ${MAX_DEPTH} levels`, at);
      width[depth] = 0;
      cost++;
    } else if (char === 0x7d /* } */ || char === 0x5d /* ] */) {
      if (depth > 0) depth--;
    } else if (char === 0x2d /* - */ || (char >= 0x30 && char <= 0x39) /* 0 to 9 */) {
      const start = at;
      let digits = 0;
      let exponent = false;
      for (; at < length; at++) {
        const next = text.charCodeAt(at);
        if (next >= 0x31 && next <= 0x39) digits++;
        else if (next === 0x30) digits += digits > 0 ? 1 : 0;
        else if (next === 0x65 /* e */ || next === 0x45 /* E */) exponent = true;
        else if (next !== 0x2e /* . */ && next !== 0x2d && next !== 0x2b /* + */) break;
      }
      if (exponent || digits > MAX_TRUSTED_DIGITS) {
        (unsafe ??= []).push(start, at);
        cost += UNSAFE_NUMBER_COST;
      }
      at--;
    }
  }
  return { members, unsafe };
}

/** The index of the quote that closes the string opened at `start`, or -1. */
function stringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (text.charCodeAt(before) === 0x5c /* \ */) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return -1;
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const children: unknown[] = Array.isArray(value) ? value : Object.values(value);
  let count = children === value ? 0 : children.length;
  for (let i = 0; i < children.length; i++) {
    const child = children[i];
    if (typeof child === 'object' && child !== null) count += countMembers(child);
  }
  return count;
}

/** Finds the repeated key that countMembers has detected; keys are compared as parsed, so escapes hide nothing. */
function duplicateKey(text: string): MalformedJson {
  const seen: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x7b || char === 0x5b) seen.push(new Set());
    else if (char === 0x7d || char === 0x5d) seen.pop();
    else if (char === 0x22) {
      const start = at;
      at = stringEnd(text, start);
      let after = at + 1;
      while (text.charCodeAt(after) <= 0x20) after++;
      if (text.charCodeAt(after) !== 0x3a) continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      const keys = seen.at(-1);
      if (keys?.has(key)) return new MalformedJson(`The key '${shown(key)}' appears twice in one object`, start);
      keys?.add(key);
    }
  }
  return new MalformedJson('A key appears twice in one object');
}

function refuseBadText(root: unknown): void {
  const faults: BodyFault[] = [];
  mapNodes(root, [], (node, path) => {
    for (const text of [path.at(-1), node]) {
      if (typeof text === 'string' && NOT_TEXT.test(text)) report(faults, path, notText(text), 'invalid_text');
    }
    return node;
  });
  if (faults.length > 0) throw new InvalidText(faults);
}

/** Parses again with each token at `ranges` hidden in a string behind a NUL, which no accepted string holds. */
function withUnsafeNumbers(text: string, ranges: number[]): unknown {
  let marked = '';
  let copied = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const [start, end] = [ranges[i]!, ranges[i + 1]!];
    marked += `${text.slice(copied, start)}"\\u0000${text.slice(start, end)}"`;
    copied = end;
  }
  return mapNodes(JSON.parse(marked + text.slice(copied)), [], (node) =>
    typeof node === 'string' && node.charCodeAt(0) === 0 ? new UnsafeNumber(node.slice(1)) : node,
  );
}

type Path = readonly (string | number)[];

/** Replaces each node by the result of `map`. Recursion is safe: parsed values are at most 32 deep. */
function mapNodes(value: unknown, path: (string | number)[], map: (node: unknown, path: Path) => unknown): unknown {
  const node = map(value, path);
  if (typeof node !== 'object' || node === null || node instanceof UnsafeNumber) return node;
  const entries = node as Record<string | number, unknown>;
  for (const key of Array.isArray(node) ? node.keys() : Object.keys(node)) {
    path.push(key);
    const before = entries[key];
    const after = mapNodes(before, path, map);
    path.pop();
    if (after === before) continue;
    // Assigning to `__proto__` would call its setter and hide the key from the check for unknown fields.
    if (key !== '__proto__') entries[key] = after;
    else Object.defineProperty(node, key, { value: after, writable: true, enumerable: true, configurable: true });
  }
  return node;
}

function report(faults: BodyFault[], path: Path, message: string, code: string): void {
  if (faults.length < MAX_FAULTS) faults.push({ field: fieldAt(path), message, code });
}

/** The name of a place in a body: `items.0.quantity`. */
export function fieldAt(path: Path): string {
  return path.map((key) => shown(String(key))).join('.');
}

/** A client's field name made safe to print and store. */
function shown(name: string): string {
  const start = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  return start.replace(/[\0\p{Surrogate}]/gu, '\ufffd');
}

// V8 words some errors as `<a fixed phrase> in JSON at position 12` and quotes the body in others; those are not
// echoed.
const V8_ERROR = /^([A-Za-z '",:{}[\]-]{1,80}) (?:in|after) JSON at position (\d+)(?: \(line \d+ column \d+\))?$/;

function malformed(error: unknown): MalformedJson {
  const message = error instanceof Error ? error.message : '';
  if (message.startsWith('Unexpected end')) return new MalformedJson('The body ends before its JSON is complete');
  const [, phrase, position] = V8_ERROR.exec(message) ?? [];
  if (phrase === undefined) return new MalformedJson('The body is not valid JSON');
  return new MalformedJson(`The body is not valid JSON: ${phrase} at position ${position}`, Number(position));
}

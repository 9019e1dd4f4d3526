/** The form of the operator's commands, and the readers of their words. */
import type { INestApplicationContext } from '@nestjs/common';
import type { Config } from '../../platform/config/config';
import { UsageError } from '../lifecycle';

/** The result of a command: one form for people, one for programs. */
export interface Report {
  lines: string[];
  data: unknown;
  /** A part of the request was not done or not found: the process ends with 1. */
  failed?: boolean;
}

/** The environment of a command. */
export interface Invocation {
  config: Config;
  /** The options by their names in camel case. */
  values: Readonly<Record<string, string | boolean | undefined>>;
  positionals: readonly string[];
  /** Changes nothing and reports the changes that it would make. */
  dryRun: boolean;
  /** Connects to the database; the same each time. */
  open(): Promise<INestApplicationContext>;
}

/** One of the operator's commands; its name is its key in `src/processes/admin/admin.ts`. */
export interface Command {
  /** One line for the list of commands. */
  summary: string;
  /** More, for its own help. */
  description?: string;
  /** The words behind its name, in commander's form: `<id>`. */
  arguments?: string;
  /** Descriptions of its options by their flags, in commander's form: `--limit <n>`. */
  options?: Readonly<Record<string, string>>;
  /** The same for required options. */
  requiredOptions?: Readonly<Record<string, string>>;
  run(invocation: Invocation): Promise<Report>;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z)?$/;

/** @throws UsageError unless the text is a UUID */
export function readId(what: string, text: string | boolean | undefined): string {
  const id = String(text ?? '').toLowerCase();
  if (!UUID.test(id)) throw new UsageError(`${what} must be a UUID`);
  return id;
}

/** @throws UsageError unless the text is a time in UTC, or a day, which means its beginning */
export function readTime(what: string, text: string | boolean | undefined): Date {
  const time = new Date(TIME.test(String(text)) ? String(text) : NaN);
  if (Number.isNaN(time.getTime())) {
    throw new UsageError(`${what} must be a time in UTC, such as 2026-01-31T12:00:00Z, or a day`);
  }
  return time;
}

/** @throws UsageError unless the text is a whole number in this range */
export function readInteger(what: string, text: string | boolean | undefined, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(String(text)) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) throw new UsageError(`${what} must be a whole number from ${min} to ${max}`);
  return value;
}

/** A tenant's text for a terminal: without characters that would move its cursor. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

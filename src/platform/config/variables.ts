/**
 * The grammar of one environment variable. A {@link Variable} has the type, default and documentation of its name, and
 * parses its text; `schema.ts` lists them, `config.ts` reads them all and reports every fault at once.
 */
import { parseUrl } from '../net/parse-url';

/** How one environment variable is read and documented. */
export interface Variable<T> {
  /** The text of the configuration table. */
  doc: string;
  /** The default as text, or undefined where leaving it out means "not set". */
  fallback?: string;
  /** Never printed: `admin config` and logs mask it. */
  secret?: boolean;
  /** Reads a non-empty text; throws an Error whose message completes "NAME …". */
  read(text: string): T;
}

/** A variable that is always set, by its default if the environment has none. */
export type Defaulted<T> = Variable<T> & { fallback: string };

const DURATION_UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Kubernetes gives a container `NAME_PORT=tcp://…` for each Service, also if a variable here has that name. */
function serviceLinkHint(text: string): string {
  if (!/^(tcp|udp):\/\//.test(text)) return '';
  return '; this is the address of a Service of Kubernetes: set enableServiceLinks: false in the pod';
}

/** A whole number in a range. */
export function integer(options: { min: number; max: number; fallback: number; doc: string }): Defaulted<number> {
  return {
    doc: options.doc,
    fallback: String(options.fallback),
    read(text) {
      const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
      if (!(value >= options.min && value <= options.max)) {
        throw new Error(`must be a whole number from ${options.min} to ${options.max}${serviceLinkHint(text)}`);
      }
      return value;
    },
  };
}

/** A number from 0 to 1. */
export function share(options: { fallback: number; doc: string }): Defaulted<number> {
  return {
    doc: options.doc,
    fallback: String(options.fallback),
    read(text) {
      const value = /^\d(\.\d{1,9})?$/.test(text) ? Number(text) : NaN;
      if (!(value <= 1)) throw new Error('must be a number from 0 to 1, such as 0.1');
      return value;
    },
  };
}

/** The number of a port, or `off`. */
export function portOrOff(options: { doc: string }): Variable<number | 'off'> {
  return {
    doc: options.doc,
    read(text) {
      if (text === 'off') return text;
      const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
      if (!(port <= 65_535)) throw new Error(`must be a port from 0 to 65535, or off${serviceLinkHint(text)}`);
      return port;
    },
  };
}

const FLAGS: Readonly<Record<string, boolean>> = { true: true, false: false, 1: true, 0: false };

/** `true` or `false`, which may be written as `1` or `0`. */
export function flag(options: { fallback: boolean; doc: string }): Defaulted<boolean> {
  return {
    doc: options.doc,
    fallback: String(options.fallback),
    read(text) {
      const value = Object.hasOwn(FLAGS, text) ? FLAGS[text] : undefined;
      if (value === undefined) throw new Error('must be true or false');
      return value;
    },
  };
}

/** One of a few words. */
export function choice<const T extends string>(options: {
  values: readonly T[];
  fallback: T;
  doc: string;
}): Defaulted<T> {
  return {
    doc: options.doc,
    fallback: options.fallback,
    read(text) {
      const value = options.values.find((candidate) => candidate === text);
      if (value === undefined) throw new Error(`must be one of ${options.values.join(', ')}`);
      return value;
    },
  };
}

/** A duration (`200ms`, `15s`, `5m`, `2h`, `1d`, `0`) in milliseconds. */
export function duration(options: { min: string; max: string; fallback: string; doc: string }): Defaulted<number> {
  const parse = (text: string): number => {
    if (text === '0') return 0;
    const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
    return match ? Number(match[1]) * (DURATION_UNITS[match[2] as string] as number) : NaN;
  };
  return {
    doc: options.doc,
    fallback: options.fallback,
    read(text) {
      const value = parse(text);
      if (!(value >= parse(options.min) && value <= parse(options.max))) {
        throw new Error(`must be a duration from ${options.min} to ${options.max}, such as ${options.fallback}`);
      }
      return value;
    },
  };
}

/** A comma-separated list of durations, in milliseconds: one at least. */
export function durations(options: {
  min: string;
  max: string;
  atMost: number;
  fallback: string;
  doc: string;
}): Defaulted<readonly number[]> {
  const one = duration(options);
  return {
    doc: options.doc,
    fallback: options.fallback,
    read(value) {
      const items = value.split(',');
      if (items.length > options.atMost) throw new Error(`must have at most ${options.atMost} entries`);
      return items.map((item, index) => {
        try {
          return one.read(item.trim());
        } catch {
          throw new Error(`must list durations from ${options.min} to ${options.max}, and entry ${index + 1} is none`);
        }
      });
    },
  };
}

/** Free text, checked by `check` where given. */
export function text(options: { doc: string; secret?: boolean; check?: (text: string) => void }): Variable<string>;
export function text(options: {
  doc: string;
  fallback: string;
  secret?: boolean;
  check?: (text: string) => void;
}): Defaulted<string>;
export function text(options: {
  doc: string;
  fallback?: string;
  secret?: boolean;
  check?: (text: string) => void;
}): Variable<string> {
  return {
    doc: options.doc,
    fallback: options.fallback,
    secret: options.secret,
    read(value) {
      options.check?.(value);
      return value;
    },
  };
}

/** A URL with one of the given schemes, kept as text. */
export function url(options: { schemes: string[]; doc: string; secret?: boolean }): Variable<string> {
  return text({
    doc: options.doc,
    secret: options.secret,
    check(value) {
      const scheme = parseUrl(value)?.protocol.slice(0, -1) ?? '';
      if (!options.schemes.includes(scheme)) throw new Error(`must be a URL that starts with ${options.schemes[0]}://`);
      if (value !== value.trim()) throw new Error('must not begin or end with a blank');
      const afterScheme = value.slice(value.indexOf('://') + 3);
      const authority = afterScheme.slice(0, afterScheme.lastIndexOf('@') + 1);
      if (options.secret && /%(?![0-9a-f]{2})/i.test(authority)) {
        throw new Error('must have a % of its user and password written as %25');
      }
      if (options.secret && (value.includes('#') || /[@/?].*@/.test(authority))) {
        throw new Error('must have @ # / and ? of its user and password percent-encoded (%40 %23 %2F %3F)');
      }
      if (new URL(value).host.includes(',')) throw new Error('must name one host');
    },
  });
}

/** A comma-separated list of texts; the empty text is the empty list. */
export function list(options: { doc: string; fallback: string; check?: (item: string) => void }): Defaulted<string[]> {
  return {
    doc: options.doc,
    fallback: options.fallback,
    read(value) {
      const items = value
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '');
      for (const item of items) options.check?.(item);
      return items;
    },
  };
}

/**
 * The headers that a tenant may add to its endpoint's requests, such as its own `Authorization`. They are written into
 * a request together with those of the service, so headers that frame the message, control the connection or forge a
 * signature are refused.
 */

const MAX_HEADERS = 20;
const MAX_NAME = 128;
const MAX_VALUE = 1_024;

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Printable ASCII: anything beyond it has no agreed encoding in HTTP/1.1 and would arrive mangled. */
const PRINTABLE = /^[\x20-\x7e]*$/;

const RESERVED = new Set([
  // the destination and the framing of the message
  'host',
  'content-length',
  'transfer-encoding',
  'trailer',
  'expect',
  // hop-by-hop headers; only HTTP/1.1 is spoken
  'connection',
  'keep-alive',
  'te',
  'upgrade',
  'http2-settings',
  // headers that the service itself sets
  'content-type',
  'content-encoding',
  'user-agent',
  // trace context
  'traceparent',
  'tracestate',
  // no header, but unsafe as a key of a plain object
  '__proto__',
]);
const RESERVED_PREFIXES = ['webhook-', 'proxy-'];

export type EndpointHeaders = Readonly<Record<string, string>>;

export interface HeaderFault {
  /** `headers`, or `headers.<name>` as the caller wrote it. */
  field: string;
  message: string;
  code: 'type' | 'max_entries' | 'format' | 'reserved' | 'duplicate' | 'max_length';
}

/** Whether an endpoint may not set this header, in any spelling. */
export function isReservedHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return RESERVED.has(lower) || RESERVED_PREFIXES.some((prefix) => lower.startsWith(prefix));
}

/** Every fault of an endpoint's `headers`; none means that the value is an EndpointHeaders. */
export function validateEndpointHeaders(value: unknown): HeaderFault[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ field: 'headers', message: 'must be an object of header names and text values', code: 'type' }];
  }
  const entries = Object.entries(value);
  const faults: HeaderFault[] = [];
  if (entries.length > MAX_HEADERS) {
    faults.push({ field: 'headers', message: `must have at most ${MAX_HEADERS} headers`, code: 'max_entries' });
  }
  const seen = new Set<string>();
  // One fault beyond the maximum is enough; ten thousand faults would help no reader.
  for (const [name, text] of entries.slice(0, MAX_HEADERS + 1)) {
    const field = `headers.${name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name}`;
    const fault = (code: HeaderFault['code'], message: string) => faults.push({ field, message, code });

    if (name.length > MAX_NAME) fault('max_length', `name must be at most ${MAX_NAME} characters`);
    if (!TOKEN.test(name)) fault('format', "name must be a header name: letters, digits and !#$%&'*+-.^_`|~");
    else if (isReservedHeader(name)) fault('reserved', 'is set by the service and cannot be changed');
    const lower = name.toLowerCase();
    if (seen.has(lower)) fault('duplicate', 'is there twice: header names differ by more than case');
    seen.add(lower);

    if (typeof text !== 'string') {
      fault('type', 'value must be text');
      continue;
    }
    if (text.length > MAX_VALUE) fault('max_length', `value must be at most ${MAX_VALUE} characters`);
    if (!PRINTABLE.test(text))
      fault('format', 'value must be printable ASCII, without line breaks or control characters');
    else if (text !== text.trim()) fault('format', 'value must not begin or end with a space');
  }
  return faults;
}

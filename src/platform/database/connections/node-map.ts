/**
 * The server of Citus with the rows of a tenant. A wrong result costs only time: every server has the placements of the
 * shards, and forwards the statement.
 */

/** A part of the hash values, and the server with its rows. */
export interface HashRange<Node> {
  /** The least and the greatest hash value, both included. */
  readonly min: number;
  readonly max: number;
  readonly node: Node;
}

/** The servers of all tenants, by the hash of the id. */
export class NodeMap<Node> {
  private readonly ranges: readonly HashRange<Node>[];

  constructor(ranges: readonly HashRange<Node>[]) {
    this.ranges = [...ranges].sort((a, b) => a.min - b.min);
  }

  /** @returns undefined if no range has the tenant */
  find(tenantId: string): Node | undefined {
    const hash = hashOfUuid(tenantId);
    let from = 0;
    let to = this.ranges.length - 1;
    while (from <= to) {
      const middle = (from + to) >> 1;
      const range = this.ranges[middle] as HashRange<Node>;
      if (hash < range.min) to = middle - 1;
      else if (hash > range.max) from = middle + 1;
      else return range.node;
    }
    return undefined;
  }
}

/**
 * PostgreSQL's `uuid_hash` (`hash_bytes` in hashfn.c, by Bob Jenkins), by which Citus finds the shard of a row. A
 * big-endian server has other values.
 */
export function hashOfUuid(uuid: string): number {
  const start = 0x9e3779b9 + 16 + 3923095;
  let a = (start + word(uuid, 0, 4)) | 0;
  let b = (start + word(uuid, 9, 14)) | 0;
  let c = (start + word(uuid, 19, 24)) | 0;
  a = (a - c) ^ rotate(c, 4);
  c = (c + b) | 0;
  b = (b - a) ^ rotate(a, 6);
  a = (a + c) | 0;
  c = (c - b) ^ rotate(b, 8);
  b = (b + a) | 0;
  a = (a - c) ^ rotate(c, 16);
  c = (c + b) | 0;
  b = (b - a) ^ rotate(a, 19);
  a = (a + c) | 0;
  c = (c - b) ^ rotate(b, 4);
  b = (b + a) | 0;
  a = (a + word(uuid, 28, 32)) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  return ((c ^ b) - rotate(b, 24)) | 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Four bytes of the text, the first one lowest: two of them at each of the places. */
function word(uuid: string, first: number, second: number): number {
  return (
    byteAt(uuid, first) |
    (byteAt(uuid, first + 2) << 8) |
    (byteAt(uuid, second) << 16) |
    (byteAt(uuid, second + 2) << 24)
  );
}

function byteAt(uuid: string, at: number): number {
  return (digit(uuid.charCodeAt(at)) << 4) | digit(uuid.charCodeAt(at + 1));
}

/** The value of a hexadecimal digit: `0` is 48, `a` is 97. */
function digit(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

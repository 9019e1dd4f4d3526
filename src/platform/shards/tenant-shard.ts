/**
 * The shard of a tenant: the part of background work that it belongs to. The last two bytes of a tenant's id are random
 * and form its *slot*; a shard has the slots that are congruent to its number.
 */

/** The slot of a tenant: a number below 65,536 that never changes. */
export function slotOf(tenantId: string): number {
  return Number.parseInt(tenantId.slice(-4), 16);
}

/** The shard of a tenant, of so many shards. */
export function shardOf(tenantId: string, shards: number): number {
  return slotOf(tenantId) % shards;
}

/** The same in SQL: the condition that the tenant in a column belongs to one of the shards; both are parameters. */
export function isInShards(column: string, shards: `$${number}`, owned: `$${number}`): string {
  const bytes = `uuid_send(${column})`;
  return `(get_byte(${bytes}, 14) * 256 + get_byte(${bytes}, 15)) % ${shards}::int = any(${owned}::int[])`;
}

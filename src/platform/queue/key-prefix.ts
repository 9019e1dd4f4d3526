/**
 * Prefix of every key of BullMQ in Redis. The braces decide on the slot: one script touches many keys, which a cluster
 * must have in one place. It is apart from the queues: the API checks their server and does not load BullMQ.
 */
export const KEY_PREFIX = '{bull}';

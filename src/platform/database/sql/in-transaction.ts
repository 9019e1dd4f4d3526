import type { Client } from 'pg';

/**
 * Runs `work` between BEGIN and COMMIT on a connection of its own.
 * @param begin the text that begins the transaction
 * @throws the error of `work`, BEGIN or COMMIT, after a ROLLBACK
 */
export async function inTransaction<T>(client: Client, work: () => Promise<T>, begin = 'begin'): Promise<T> {
  try {
    await client.query(begin);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await rollback(client);
    throw error;
  }
}

/** Ends a transaction. A lost connection has ended it already: its error would hide the one that came first. */
export async function rollback(client: Client): Promise<void> {
  await client.query('rollback').catch(() => undefined);
}

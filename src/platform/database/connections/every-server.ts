import { Unavailable } from '../../errors';
import type { ConnectionManager } from './connection-manager';
import type { TransactionSettings } from './transaction-settings';
import { perServer, rowsOfServers, type ServerAnswer } from '../sql/per-server';
import type { Row, Statement } from '../sql/statement';

/**
 * Runs a statement that reads rows of every tenant. Where one server of Citus is away, the rows of the others: the
 * tenants there are served on.
 * @throws Unavailable if no server answers
 */
export async function queryEveryServer<R extends Row>(
  connections: ConnectionManager,
  txSettings: TransactionSettings,
  statement: Statement,
): Promise<R[]> {
  try {
    return await connections.query<R>(txSettings, statement);
  } catch (error) {
    if (!connections.isDistributed || !(error instanceof Unavailable)) throw error;
    const rows = rowsOfServers<R>(await connections.query<ServerAnswer>(txSettings, perServer(statement)));
    if (rows === undefined) throw error;
    return rows;
  }
}

import { databaseClock } from '../platform/database/database-clock';
import { newIdAt } from '../platform/ids/ids';

/** The id of a new tenant. The policy of founders compares the time in it with the database's. */
export const newTenantId = (): string => newIdAt(databaseClock.now());

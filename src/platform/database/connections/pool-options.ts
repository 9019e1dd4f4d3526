import { SERVICE_NAME } from '../../config/service-name';
import { ServiceClient } from '../sql/service-client';

/** The options of TypeORM's pool that are those of pg, for transactions that hold a connection between statements. */
export function poolOptions(size: number, statementTimeout: number): object {
  return {
    max: size,
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    query_timeout: statementTimeout + 5_000,
    application_name: SERVICE_NAME,
    Client: ServiceClient,
  };
}

import { Pool, type PoolConfig } from 'pg';
import { ServiceClient } from './service-client';

/**
 * A pool of {@link ServiceClient}s, for a library that brings its own statements. It does not keep the process alive.
 */
export function createServicePool(config: PoolConfig): Pool {
  return new Pool({ keepAlive: true, connectionTimeoutMillis: 5_000, ...config, ...OURS } as PoolConfig);
}

// pg takes a class here, which its types do not have.
const OURS = { Client: ServiceClient, allowExitOnIdle: true };

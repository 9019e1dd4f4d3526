/** Injection token of every table of tenants (`TenantTable`), in the order in which an erasure deletes. */
export const TENANT_TABLES = Symbol('TENANT_TABLES');

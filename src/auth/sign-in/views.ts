/** Responses about persons and tenants: whitelists, mapped from the entities. */
import type { Tenant } from '../../tenants/tenant.entity';
import type { User } from '../../users/user.entity';
import type { TenantView, UserView } from './auth.views';

export function userView(user: User): UserView {
  return { id: user.id, email: user.email, name: user.name, created_at: user.createdAt.toISOString() };
}

export function tenantView(tenant: Tenant): TenantView {
  return { id: tenant.id, name: tenant.name, created_at: tenant.createdAt.toISOString() };
}

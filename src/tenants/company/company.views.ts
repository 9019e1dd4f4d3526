import { ApiProperty, type ApiPropertyOptions, ApiSchema } from '@nestjs/swagger';
import { VERSION_DOC } from '../../platform/http/responses/view-docs';
import { MAX_CIDRS } from '../../platform/http/requests/cidr-list.field';
import { SECOND_FACTOR_RULES, type Tenant } from '../tenant.entity';
import { type Policies, POLICY_RANGES } from './policies';

const TENANT_ID = '0198c0de-7a11-7000-8000-000000000002';
const TIME = '2026-01-31T12:00:00.000Z';

/** The states of a tenant. */
export const TENANT_STATUSES = ['active', 'suspended', 'closed'] as const;
export type TenantStatus = (typeof TENANT_STATUSES)[number];

const range = (name: keyof typeof POLICY_RANGES, description: string, example: number | null) => {
  const { min, max, nullable } = POLICY_RANGES[name];
  return {
    type: 'integer',
    minimum: min,
    maximum: max,
    ...(nullable ? { nullable } : {}),
    description,
    example,
  } as const;
};

export const POLICY_SCHEMAS = {
  second_factor: {
    type: 'string',
    enum: [...SECOND_FACTOR_RULES],
    description: '`required`: after the grace days a person without a second factor can only add one.',
    example: 'optional',
  },
  second_factor_grace_days: range('second_factor_grace_days', 'From the later of the policy and the joining.', 0),
  session_idle_minutes: range(
    'session_idle_minutes',
    'A session without a request for so long ends; null: never.',
    null,
  ),
  session_max_days: range('session_max_days', 'From the first sign-in; null: as long as the service allows.', null),
  allowed_cidrs: {
    type: 'array',
    items: { type: 'string', maxLength: 50 },
    maxItems: MAX_CIDRS,
    description: 'Networks from which sessions and keys may be used; empty: all.',
    example: ['203.0.113.0/24'],
  },
  api_key_max_days: range('api_key_max_days', 'The maximum life of a new key; null: none.', null),
} as const;
const doc = (name: keyof Policies) => ApiProperty(POLICY_SCHEMAS[name] as ApiPropertyOptions);

@ApiSchema({ description: 'The rules for the sessions and keys that reach the tenant.' })
class PoliciesView implements Policies {
  @doc('second_factor') second_factor: Policies['second_factor'];
  @doc('second_factor_grace_days') second_factor_grace_days: number;
  @doc('session_idle_minutes') session_idle_minutes: number | null;
  @doc('session_max_days') session_max_days: number | null;
  @doc('allowed_cidrs') allowed_cidrs: string[];
  @doc('api_key_max_days') api_key_max_days: number | null;
}

@ApiSchema({ description: 'The company of the caller.' })
export class OwnTenantView {
  @ApiProperty({ format: 'uuid', description: "The tenant's id.", example: TENANT_ID })
  id: string;

  @ApiProperty({ minLength: 1, maxLength: 200, description: "The company's name.", example: 'Analytical Engines Ltd' })
  name: string;

  @ApiProperty({ enum: TENANT_STATUSES, description: 'Whether its credentials are valid.', example: 'active' })
  status: TenantStatus;

  @ApiProperty({ type: PoliciesView, required: false, description: 'To callers with `tenant:manage`.' })
  policies?: Policies;

  @ApiProperty({ format: 'date-time', description: 'When the company was registered.', example: TIME })
  created_at: string;

  @ApiProperty(VERSION_DOC)
  version: number;
}

/** The tenant as the API shows it to its members. */
export function viewOf(tenant: Tenant, withPolicies: boolean): OwnTenantView {
  return {
    id: tenant.id,
    name: tenant.name,
    status: statusOf(tenant),
    ...(withPolicies ? { policies: policiesOf(tenant) } : {}),
    created_at: tenant.createdAt.toISOString(),
    version: tenant.version,
  };
}

/** The policies of a tenant, as the API and the audit log name them. */
export function policiesOf(tenant: Tenant): Policies {
  return {
    second_factor: tenant.secondFactor,
    second_factor_grace_days: tenant.secondFactorGraceDays,
    session_idle_minutes: tenant.sessionIdleMinutes,
    session_max_days: tenant.sessionMaxDays,
    allowed_cidrs: tenant.allowedCidrs,
    api_key_max_days: tenant.apiKeyMaxDays,
  };
}

/** The state of a tenant: a suspension hides the closing. */
export function statusOf(tenant: Tenant): TenantStatus {
  if (tenant.suspendedAt) return 'suspended';
  return tenant.closedAt ? 'closed' : 'active';
}

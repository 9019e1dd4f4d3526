import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Whether the people of a tenant need a second factor. */
export const SECOND_FACTOR_RULES = ['optional', 'required'] as const;
export type SecondFactorRule = (typeof SECOND_FACTOR_RULES)[number];

/** A company: the unit of isolation. */
@Entity('tenants')
export class Tenant {
  @PrimaryColumn('uuid')
  id: string;

  @Column('text')
  name: string;

  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  /** Set by the operator while none of its credentials count. */
  @Column('timestamptz', { name: 'suspended_at', nullable: true })
  suspendedAt: Date | null;

  /** Set when an owner closed it; it is erased 30 days later. */
  @Column('timestamptz', { name: 'closed_at', nullable: true })
  closedAt: Date | null;

  /** The member that the operator may make an owner, and the earliest time; a sign-in of an owner cancels it. */
  @Column('uuid', { name: 'new_owner_id', nullable: true })
  newOwnerId: string | null;

  @Column('timestamptz', { name: 'new_owner_at', nullable: true })
  newOwnerAt: Date | null;

  @Column('text', { name: 'second_factor' })
  secondFactor: SecondFactorRule;

  @Column('integer', { name: 'second_factor_grace_days' })
  secondFactorGraceDays: number;

  /** When the second factor became required: grace days run from then, or from the joining. */
  @Column('timestamptz', { name: 'second_factor_since', nullable: true })
  secondFactorSince: Date | null;

  @Column('integer', { name: 'session_idle_minutes', nullable: true })
  sessionIdleMinutes: number | null;

  @Column('integer', { name: 'session_max_days', nullable: true })
  sessionMaxDays: number | null;

  @Column('text', { name: 'allowed_cidrs', array: true })
  allowedCidrs: string[];

  @Column('integer', { name: 'api_key_max_days', nullable: true })
  apiKeyMaxDays: number | null;
}

/** A new tenant, open and without policies. */
export function newTenant(id: string, name: string, createdAt: Date): Tenant {
  return {
    id,
    name,
    version: 1,
    createdAt,
    suspendedAt: null,
    closedAt: null,
    newOwnerId: null,
    newOwnerAt: null,
    secondFactor: 'optional',
    secondFactorGraceDays: 0,
    secondFactorSince: null,
    sessionIdleMinutes: null,
    sessionMaxDays: null,
    allowedCidrs: [],
    apiKeyMaxDays: null,
  };
}

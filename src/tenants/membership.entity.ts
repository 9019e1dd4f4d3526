import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Whether a member may act: an `unconfirmed` one must confirm the membership first. */
export const MEMBER_STATUSES = ['active', 'suspended', 'unconfirmed'] as const;
export type MemberStatus = (typeof MEMBER_STATUSES)[number];

/** The manager of a member: the tenant's people, or a directory. */
export const MEMBER_MANAGERS = ['user', 'directory'] as const;
export type MemberManager = (typeof MEMBER_MANAGERS)[number];

/** The membership of a user in a tenant. */
@Entity('memberships')
export class Membership {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('uuid', { name: 'user_id' })
  userId: string;

  /** A built-in role, or a custom one of the tenant. */
  @Column('text')
  role: string;

  @Column('text')
  status: MemberStatus;

  @Column('text', { name: 'managed_by' })
  managedBy: MemberManager;

  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  /** The user's last sign-in to this tenant: the default tenant of the next sign-in. */
  @Column('timestamptz', { name: 'last_used_at' })
  lastUsedAt: Date;
}

/** A new membership of a person in a tenant, active immediately. */
export function newMembership(tenantId: string, userId: string, role: string, now: Date): Membership {
  return { tenantId, userId, role, status: 'active', managedBy: 'user', version: 1, createdAt: now, lastUsedAt: now };
}

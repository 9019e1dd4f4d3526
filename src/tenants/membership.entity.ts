import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Role } from './roles';

/** A user's place in a tenant. */
@Entity('memberships')
export class Membership {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('uuid', { name: 'user_id' })
  userId: string;

  @Column('text')
  role: Role;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  /** When the user last signed in to this tenant: where the next sign-in without a tenant goes. */
  @Column('timestamptz', { name: 'last_used_at' })
  lastUsedAt: Date;
}

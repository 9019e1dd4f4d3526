import { Column, Entity, PrimaryColumn } from 'typeorm';

/** An offer of a membership to an address. The hash of its token is no part of it: only its own statements use that. */
@Entity('invitations')
export class Invitation {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  /** UUIDv7; its time is `createdAt`. */
  @PrimaryColumn('uuid')
  id: string;

  @Column('text')
  email: string;

  /** The address by which it is found: see `emailKey`. */
  @Column('text', { name: 'email_key' })
  emailKey: string;

  @Column('text')
  role: string;

  /** The user that invited, or sent it again. */
  @Column('uuid', { name: 'invited_by' })
  invitedBy: string;

  /** Grows each time it is sent. */
  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}

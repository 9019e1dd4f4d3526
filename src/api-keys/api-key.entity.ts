import { Column, Entity, PrimaryColumn } from 'typeorm';
import { Versioned } from '../platform/database/versioned';

/** A key of the tenant outlives people; a personal one ends with its person's membership. */
export const KEY_KINDS = ['tenant', 'personal'] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

/** An API key, without its text. */
@Entity('api_keys')
export class ApiKey extends Versioned {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  /** UUIDv7; its time is `createdAt`. */
  @PrimaryColumn('uuid')
  id: string;

  @Column('text')
  kind: KeyKind;

  /** The person of a personal key. */
  @Column('uuid', { name: 'user_id', nullable: true })
  userId: string | null;

  @Column('text')
  name: string;

  @Column('text', { array: true })
  scopes: string[];

  /** The first characters of the newest text's random part. */
  @Column('text')
  hint: string;

  @Column('uuid', { name: 'created_by' })
  createdBy: string;

  @Column('text', { name: 'allowed_cidrs', array: true })
  allowedCidrs: string[];

  /** Requests a second. */
  @Column('integer', { name: 'rate_limit', nullable: true })
  rateLimit: number | null;

  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt: Date | null;

  @Column('timestamptz', { name: 'last_used_at', nullable: true })
  lastUsedAt: Date | null;
}

import { Column, Entity, PrimaryColumn } from 'typeorm';
import { Versioned } from '../../platform/database/versioned';

/** How an endpoint's messages are signed: HMAC-SHA256 with a shared secret, or ed25519. */
export const SIGNATURES = ['v1', 'v1a'] as const;
export type Signature = (typeof SIGNATURES)[number];

/** Whether events are sent without order, or in order for each aggregate. */
export const ORDERINGS = ['none', 'by_aggregate'] as const;
export type Ordering = (typeof ORDERINGS)[number];

/** An endpoint of a tenant that receives events. */
@Entity('webhook_endpoints')
export class WebhookEndpoint extends Versioned {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  /** UUIDv7; its time is `createdAt`. */
  @PrimaryColumn('uuid')
  id: string;

  /** With its query masked; the whole of it is in `encryptedParts`. */
  @Column('text')
  url: string;

  @Column('text', { nullable: true })
  description: string | null;

  /** Exact names, `order.*`, or `*`. */
  @Column('text', { name: 'event_types', array: true })
  eventTypes: string[];

  /** With their values masked; the values are in `encryptedParts`. */
  @Column('jsonb')
  headers: Record<string, string>;

  /** URL and headers, encrypted; null if no part is masked. See `endpoint-parts.ts`. */
  @Column('text', { name: 'encrypted_parts', nullable: true })
  encryptedParts: string | null;

  /** Maximum messages per second; null without a limit. */
  @Column('integer', { name: 'rate_limit', nullable: true })
  rateLimit: number | null;

  @Column('text')
  ordering: Ordering;

  @Column('text')
  signature: Signature;

  /** Encrypted; see `endpoint-secrets.ts`. */
  @Column('text')
  secret: string;

  /** The previous one, encrypted: it also signs until it expires. */
  @Column('text', { name: 'previous_secret', nullable: true })
  previousSecret: string | null;

  @Column('timestamptz', { name: 'previous_secret_expires_at', nullable: true })
  previousSecretExpiresAt: Date | null;

  @Column('boolean')
  enabled: boolean;

  @Column('text', { name: 'disabled_reason', nullable: true })
  disabledReason: string | null;

  /** Whether the receiver has consented; `pending` until it has responded to the challenge. */
  @Column('text')
  consent: 'given' | 'pending';

  @Column('text', { nullable: true })
  challenge: string | null;

  /** Since when every attempt has failed; null while it works. Written by the worker. */
  @Column('timestamptz', { name: 'failing_since', nullable: true })
  failingSince: Date | null;

  /** The version of the API's representation; secrets are not part of it. */
}

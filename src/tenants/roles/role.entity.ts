import { Column, Entity, PrimaryColumn } from 'typeorm';
import { Versioned } from '../../platform/database/versioned';

/** A custom role of a tenant. */
@Entity('roles')
export class CustomRole extends Versioned {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  /** Fixed once made. */
  @PrimaryColumn('text')
  name: string;

  /** UUIDv7: the order of the list. */
  @Column('uuid')
  id: string;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('text', { array: true })
  permissions: string[];
}

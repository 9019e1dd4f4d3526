import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A custom role of a tenant. */
@Entity('roles')
export class CustomRole {
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

  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt: Date;
}

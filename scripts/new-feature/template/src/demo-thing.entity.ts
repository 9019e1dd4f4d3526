import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A demo thing of a tenant. */
@Entity('demo_things')
export class DemoThing {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  /** UUIDv7; its time is `createdAt`. */
  @PrimaryColumn('uuid')
  id: string;

  @Column('text')
  name: string;

  @Column('text', { nullable: true })
  notes: string | null;

  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt: Date;
}

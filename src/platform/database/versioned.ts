import { Column } from 'typeorm';

/** The columns that every resource with a version has. */
export abstract class Versioned {
  /** Grows with each change; the `ETag` is made of it. */
  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt: Date;
}

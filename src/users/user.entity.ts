import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A person, who may belong to several tenants. Seen by the sign-in role alone. */
@Entity('users')
export class User {
  @PrimaryColumn('uuid')
  id: string;

  /** As it was given; compared without case. */
  @Column('text')
  email: string;

  @Column('text', { nullable: true })
  name: string | null;

  @Column('text', { name: 'password_hash' })
  passwordHash: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

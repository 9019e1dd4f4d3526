import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A person, who may belong to several tenants. Only the sign-in role sees it. */
@Entity('users')
export class User {
  @PrimaryColumn('uuid')
  id: string;

  /** As the person wrote it. */
  @Column('text')
  email: string;

  /** The key that makes the address one account, see `email-key.ts`; null until `migrate` has filled it in. */
  @Column('text', { name: 'email_key', nullable: true })
  emailKey: string | null;

  /** Set once the person has proved the mailbox. */
  @Column('timestamptz', { name: 'email_verified_at', nullable: true })
  emailVerifiedAt: Date | null;

  @Column('text', { nullable: true })
  name: string | null;

  @Column('text', { name: 'password_hash' })
  passwordHash: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  /** Set while the person is to be erased: the time of it. */
  @Column('timestamptz', { name: 'erase_at', nullable: true })
  eraseAt: Date | null;

  /** From when on the operator may end the second factors; a sign-in with one cancels it. */
  @Column('timestamptz', { name: 'factor_reset_at', nullable: true })
  factorResetAt: Date | null;
}

import type { Assurance, Session } from '../../platform/http/requests/caller';

/** How a sign-in was proved. */
export interface Proof {
  amr: readonly string[];
  acr: Assurance;
  authTime: Date;
  connectionId: string | null;
  /** Set if the session descends from another one: the family of both, and the older session. */
  familyId?: string;
  parent?: Pick<Session, 'home' | 'userId' | 'id'>;
  signedInAt?: Date;
}

/** The origin of a sign-in, as the list of sessions shows it. */
export interface Client {
  network: string;
  /** The address itself, which no row keeps. */
  address?: string;
  userAgent: string;
}

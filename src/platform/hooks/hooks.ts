import { Injectable } from '@nestjs/common';
import type { AuditedCaller } from '../audit/audit-entry';
import type { TenantTransaction } from '../database/tenant-database';
import type { Transaction } from '../database/transaction';
import type { Permission } from '../permissions/permissions';

type Handler<Tx, Event> = (tx: Tx, event: Event) => void | Promise<void>;

/** A point at which features react to a change of another feature, in the transaction of the change. */
class Hook<Tx extends Transaction, Event> {
  private readonly handlers: Handler<Tx, Event>[] = [];

  /** Registers a handler; features do so when they are loaded. */
  on(handler: Handler<Tx, Event>): void {
    this.handlers.push(handler);
  }

  /** Runs every handler, one after the other; an error undoes the whole transaction. */
  async run(tx: Tx, event: Event): Promise<void> {
    for (const handler of this.handlers) await handler(tx, event);
  }
}

/** A query that one feature serves for the others. */
class Query<Input, Output> {
  private handler?: (input: Input) => Promise<Output>;

  handleWith(handler: (input: Input) => Promise<Output>): void {
    this.handler = handler;
  }

  /** @throws if no loaded feature serves it */
  run(input: Input): Promise<Output> {
    if (!this.handler) throw new Error('no feature serves this query');
    return this.handler(input);
  }
}

/** A member whose membership in the transaction's tenant ended or was suspended. */
export interface MembershipEnded {
  userId: string;
}

/** A person, in a transaction of the sign-in role that is bound to that person. */
export interface PersonEvent {
  userId: string;
  /** The tenants of the person, with any status. */
  tenantIds: readonly string[];
}

/** The members of a tenant who get a notice: those whose role has the permission, or one of them. */
export type MailAudience = { readonly permission: Permission } | { readonly userId: string };

/** The addresses of an audience, with the name of the tenant that they are members of. */
export interface MailAudienceAddresses {
  tenantName: string;
  addresses: { address: string; name: string | null }[];
}

/**
 * The hooks. Those of a membership run in a transaction of its tenant; those of a person in one of the sign-in role,
 * which sees that person's rows of every tenant: a feature with rows of persons gives that role a policy on them.
 */
@Injectable()
export class Hooks {
  /** A member left, was removed or was suspended: sessions and personal keys in the tenant end. */
  readonly membershipEnded = new Hook<TenantTransaction, MembershipEnded>();
  /** The sessions of one member in the transaction's tenant end; the membership stays. */
  readonly sessionsEnded = new Hook<TenantTransaction, MembershipEnded>();
  /** The owner of a mailbox claimed an account: earlier credentials of it are void. */
  readonly userClaimed = new Hook<Transaction, PersonEvent>();
  /** A change of the address was undone by the old mailbox: factors and keys that were added since are void. */
  readonly userReverted = new Hook<Transaction, PersonEvent & { since: Date }>();
  /** The operator ends the second factors of a person who lost them. */
  readonly factorsReset = new Hook<Transaction, PersonEvent>();
  /** A person asked to be erased: memberships end now, the account is erased later. */
  readonly userLeft = new Hook<Transaction, PersonEvent>();
  /** A person exports the own data: features add theirs to it, under a name of its own. */
  readonly userExported = new Hook<Transaction, { userId: string; data: Record<string, unknown> }>();
  /** A person is erased finally: features delete their rows of the person. */
  readonly userErased = new Hook<Transaction, PersonEvent>();
  /** Which of these persons have a second factor. */
  readonly personsWithSecondFactor = new Query<readonly string[], ReadonlySet<string>>();
  /** Sends a member's reset of the password, and records it in the log of the caller's tenant. */
  readonly resetForMember = new Query<{ caller: AuditedCaller; userId: string }, void>();
  /** Whether a tenant may have one more mail sent to an address; it is counted. */
  readonly mailAllowed = new Query<{ tenantId: string; email: string }, boolean>();
  /** The addresses of some active members of a tenant. */
  readonly mailAudience = new Query<{ tenantId: string; audience: MailAudience }, MailAudienceAddresses>();
}

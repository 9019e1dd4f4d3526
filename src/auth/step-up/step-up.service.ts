import type { Client, Proof } from '../proofs/proof';
import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { Unauthorized, ValidationFailed } from '../../platform/errors';
import { type Principal, personOf, type Session } from '../../platform/http/requests/caller';
import { Users } from '../../users/users';
import { type FactorMethod, SecondFactors } from '../second-factor/second-factors';
import { FailedProofs } from '../proofs/failed-proofs';
import { proofOf, Sessions } from '../sessions/sessions';
import type { TokensView } from '../sign-in/auth.views';
import { verifyPassword } from '../sign-in/passwords';
import { SignIn } from '../sign-in/sign-in';
import { SignInLimits } from '../sign-in/sign-in-limits';
import type { StepUpDto } from './step-up.requests';
import type { StepUpOptionsView } from './step-up.views';

const PROOF_OF: Readonly<Record<FactorMethod, string>> = { totp: 'code', passkey: 'passkey' };

/** Lets a person prove their identity again: a new session replaces the old one. */
@Injectable()
export class StepUpService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly users: Users,
    private readonly factors: SecondFactors,
    private readonly limits: SignInLimits,
    private readonly sessions: Sessions,
    private readonly signIn: SignIn,
    private readonly failures: FailedProofs,
    private readonly audit: AuditLog,
  ) {}

  /** The accepted proofs: the second factor if there is one, otherwise the password. */
  async options(principal: Principal): Promise<StepUpOptionsView> {
    const methods = await this.factors.methodsOf(sessionOf(principal).userId);
    if (methods.length === 0) return { methods: ['password'] };
    const options = methods.includes('passkey')
      ? await this.factors.passkeyOptions?.(sessionOf(principal).userId)
      : undefined;
    return { methods: methods.map((method) => PROOF_OF[method]), ...(options ? { passkey_options: options } : {}) };
  }

  /**
   * @throws Unauthorized for a wrong proof; ValidationFailed for the password alone from a person with a second factor;
   * RateLimited after too many wrong ones
   */
  async stepUp(principal: Principal, input: StepUpDto, client: Client): Promise<TokensView> {
    const session = sessionOf(principal);
    const person = personOf(principal);
    const tenantId = person?.tenantId ?? null;
    const proof = await this.prove(session, input, client, tenantId ?? undefined);
    const home = tenantId ?? session.userId;
    const role = principal.kind === 'tenant' ? principal.caller.role : (principal.role ?? null);
    const begun = await this.database.transaction({ tenantId: home }, async (tx) => {
      await this.sessions.replace(tx, session);
      const kind = tenantId === null ? 'account' : 'tenant';
      const begun = this.sessions.begin(tx, { userId: session.userId, kind, proof, client });
      if (tenantId !== null) this.record(tx, begun.sessionId, session.userId, proof, client);
      return begun;
    });
    return this.signIn.pair({ ...begun, userId: session.userId, tenantId, role });
  }

  private record(tx: TenantTransaction, id: string, userId: string, { amr, acr }: Proof, client: Client): void {
    const { network, userAgent } = client;
    this.audit.record(
      tx,
      { tenantId: tx.tenantId, actor: { type: 'user', id: userId }, session: { id }, origin: { network, userAgent } },
      {
        action: 'session.stepped_up',
        target: { type: 'user', id: userId },
        changes: { amr: [null, amr], acr: [null, acr] },
      },
    );
  }

  private async prove(session: Session, input: StepUpDto, client: Client, tenantId?: string): Promise<Proof> {
    const { userId } = session;
    const methods = await this.factors.methodsOf(userId);
    if (input.password !== undefined && methods.length > 0) {
      const message = 'is not enough: the account has a second factor';
      throw new ValidationFailed([{ field: 'password', message, code: 'second_factor' }]);
    }
    const user = await this.users.get(userId);
    const attempt = { email: user.email, network: client.network, userId };
    const amr = await this.limits.guard(attempt, async () => {
      if (input.code !== undefined) return this.factors.verify('code', userId, input.code);
      if (input.passkey !== undefined) return this.factors.verify('passkey', userId, input.passkey);
      return (await verifyPassword(user.passwordHash, input.password ?? '')) ? ['pwd'] : undefined;
    });
    if (!amr) {
      this.failures.note({
        userId,
        tenantId,
        network: client.network,
        action: input.password === undefined ? 'second_factor.failed' : 'sign_in.failed',
      });
      throw new Unauthorized('The proof is wrong.');
    }
    return {
      ...proofOf(session),
      amr: [...new Set([...session.amr, ...amr])],
      acr: input.password === undefined ? 'aal2' : session.acr,
      authTime: new Date(),
    };
  }
}

function sessionOf(principal: Principal): Session {
  const person = personOf(principal);
  if (!person) throw new Unauthorized();
  return person.session;
}

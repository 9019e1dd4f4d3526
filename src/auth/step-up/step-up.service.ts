import type { Client, Proof } from '../proofs/proof';
import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { Unauthorized, ValidationFailed } from '../../platform/errors';
import { type Principal, personOf, type Session } from '../../platform/http/requests/caller';
import { Users } from '../../users/users';
import { type FactorMethod, SecondFactors } from '../second-factor/second-factors';
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
    const proof = await this.prove(session, input, client);
    const person = personOf(principal);
    const tenantId = person?.tenantId ?? null;
    const home = tenantId ?? session.userId;
    const role = principal.kind === 'tenant' ? principal.caller.role : (principal.role ?? null);
    const begun = await this.database.transaction({ tenantId: home }, async (tx) => {
      await this.sessions.replace(tx, session);
      const kind = tenantId === null ? 'account' : 'tenant';
      return this.sessions.begin(tx, { userId: session.userId, kind, proof, client });
    });
    return this.signIn.pair({ ...begun, userId: session.userId, tenantId, role });
  }

  private async prove(session: Session, input: StepUpDto, client: Client): Promise<Proof> {
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
    if (!amr) throw new Unauthorized('The proof is wrong.');
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

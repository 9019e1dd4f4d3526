import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { AppError, Unauthorized } from '../../platform/errors';
import { Mailer } from '../../platform/mail/mailer';
import { Users } from '../../users/users';
import { AccountAudit } from '../account/account-audit';
import { FailedProofs } from '../proofs/failed-proofs';
import type { SignedInView } from '../sign-in/auth.views';
import { SignIn } from '../sign-in/sign-in';
import { SignInLimits } from '../sign-in/sign-in-limits';
import { RecoveryCodes } from './recovery-codes';
import type { AnswerChallengeDto } from './second-factor.requests';
import * as queries from './second-factor.queries';
import { type FactorMethod, type FirstFactor, SecondFactors } from '../second-factor/second-factors';

const LIFETIME_S = 300;
const MAX_ATTEMPTS = 5;
/** The person's id, then 256 random bits. */
const TOKEN = /^sfc_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** A sign-in between its two factors: the proof of the first one waits for the second one, for five minutes. */
@Injectable()
export class Challenges {
  constructor(
    private readonly database: SignInDatabase,
    private readonly users: Users,
    private readonly factors: SecondFactors,
    private readonly codes: RecoveryCodes,
    private readonly limits: SignInLimits,
    private readonly signIn: SignIn,
    private readonly audit: AccountAudit,
    private readonly mailer: Mailer,
    private readonly failures: FailedProofs,
  ) {
    factors.registerChallenger((proved, methods, tenantId) => this.refusal(proved, methods, tenantId));
  }

  /**
   * Completes the sign-in of a challenge.
   * @throws Unauthorized for a wrong factor, and for a challenge that is unknown, spent or expired; RateLimited
   */
  async complete(input: AnswerChallengeDto, client: FirstFactor['client']): Promise<SignedInView> {
    const { userId, hash } = parse(input.challenge);
    const now = new Date();
    const [challenge] = await this.database.transaction({ userId }, (tx) =>
      tx.query<queries.ChallengeRow>(queries.countAttempt(userId, hash, MAX_ATTEMPTS, now)),
    );
    if (!challenge) throw unknownChallenge();
    const user = await this.users.get(userId);
    const attempt = { email: user.email, network: client.network, userId };
    const amr = await this.limits.guard(attempt, () => this.prove(userId, input, client));
    if (!amr) {
      const tenantId = challenge.wanted_tenant ?? undefined;
      this.failures.note({ userId, tenantId, network: client.network, action: 'second_factor.failed' });
      throw new Unauthorized('The second factor is wrong.');
    }
    const spent = await this.database.transaction({ userId }, (tx) =>
      tx.query(queries.spendChallenge(userId, hash, now)),
    );
    if (spent.length === 0) throw unknownChallenge();
    const proof = {
      amr: [...new Set([...challenge.proof.amr, ...amr])],
      acr: 'aal2' as const,
      authTime: now,
      connectionId: null,
    };
    return this.signIn.complete({ user, proof, client }, challenge.wanted_tenant ?? undefined);
  }

  private async prove(
    userId: string,
    input: AnswerChallengeDto,
    client: FirstFactor['client'],
  ): Promise<readonly string[] | undefined> {
    if (input.code !== undefined) return this.factors.verify('code', userId, input.code);
    if (input.passkey !== undefined) return this.factors.verify('passkey', userId, input.passkey);
    const now = new Date();
    const left = await this.codes.use(userId, input.recovery_code ?? '', now);
    if (left === undefined) return undefined;
    const user = await this.users.get(userId);
    await this.database.transaction({ userId }, async (tx) => {
      await this.audit.record(tx, userId, 'recovery_code.used', { left: [left + 1, left] });
      const data = { at: now.toISOString(), network: client.network, userAgent: client.userAgent, left };
      this.mailer.send(tx, { to: { address: user.email, name: user.name }, template: 'recovery_code_used', data });
    });
    return ['kba', 'mfa'];
  }

  private async refusal(
    { user, proof }: FirstFactor,
    methods: readonly FactorMethod[],
    tenantId?: string,
  ): Promise<AppError> {
    const secret = randomBytes(32).toString('base64url');
    const challenge = `sfc_${user.id.replaceAll('-', '')}_${secret}`;
    const kept = JSON.stringify({ amr: proof.amr, authTime: proof.authTime.toISOString() });
    const expiresAt = new Date(new Date().getTime() + LIFETIME_S * 1_000);
    await this.database.transaction({ userId: user.id }, (tx) => {
      tx.defer(queries.insertChallenge(user.id, hashOf(challenge), kept, tenantId ?? null, expiresAt));
      return Promise.resolve();
    });
    const options = methods.includes('passkey') ? await this.factors.passkeyOptions?.(user.id) : undefined;
    return new AppError('second_factor_required', 'A second factor is required.', {
      headers: { 'WWW-Authenticate': 'Bearer' },
      members: { challenge, methods, expires_in: LIFETIME_S, ...(options ? { passkey_options: options } : {}) },
    });
  }
}

function parse(challenge: string): { userId: string; hash: Buffer } {
  const hex = TOKEN.exec(challenge)?.[1];
  if (hex === undefined) throw unknownChallenge();
  const userId = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  return { userId, hash: hashOf(challenge) };
}

function hashOf(challenge: string): Buffer {
  return createHash('sha256').update(challenge).digest();
}

function unknownChallenge(): Unauthorized {
  return new Unauthorized('The challenge is not valid (any more): sign in again.', { invalidToken: true });
}

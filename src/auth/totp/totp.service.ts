import { Inject, Injectable } from '@nestjs/common';
import { renderSVG } from 'uqr';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase } from '../../platform/database/tenant-database';
import type { Transaction } from '../../platform/database/transaction';
import { AppError, Conflict, NotFound, ValidationFailed } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import { type Person, type Principal, personOf } from '../../platform/http/requests/caller';
import { Mailer } from '../../platform/mail/mailer';
import { Epochs } from '../../platform/revocation/epochs';
import { tenantIdsOf } from '../../tenants/memberships';
import { Users } from '../../users/users';
import { AccountAudit } from '../account/account-audit';
import { SignIn } from '../sign-in/sign-in';
import { SignInLimits } from '../sign-in/sign-in-limits';
import { RecoveryCodes } from './recovery-codes';
import { type FirstFactor, SecondFactors } from '../second-factor/second-factors';
import * as queries from './second-factor.queries';
import { totpContext } from './encrypted-secrets';
import { matchingStep, newSecret, base32, otpauthUri, TOTP_CODE } from './totp-code';

const ISSUER = 'Orders';
/** Before every factor. */
const ALWAYS = new Date(0);

/** Adds, checks and removes the authenticator app of a person. */
@Injectable()
export class TotpService {
  constructor(
    @Inject(SECRET_BOX) private readonly box: SecretBox,
    private readonly database: SignInDatabase,
    private readonly tenants: TenantDatabase,
    private readonly users: Users,
    private readonly factors: SecondFactors,
    private readonly codes: RecoveryCodes,
    private readonly signIn: SignIn,
    private readonly epochs: Epochs,
    private readonly audit: AccountAudit,
    private readonly mailer: Mailer,
    private readonly limits: SignInLimits,
    hooks: Hooks,
  ) {
    factors.register(async (userId) => ((await this.find(userId))?.confirmed_at ? ['totp'] : []));
    factors.registerVerifier('code', async (userId, code) =>
      (await this.verify(userId, String(code))) ? ['otp', 'mfa'] : undefined,
    );
    for (const hook of [hooks.userClaimed, hooks.factorsReset]) {
      hook.on((tx, { userId, tenantIds }) => {
        tx.defer(queries.removeTotp(userId, ALWAYS));
        tx.defer(queries.removeCodes(userId));
        epochs.raisePerson(tx, userId, tenantIds);
      });
    }
    hooks.userReverted.on(async (tx, { userId, since }) => {
      const removed = await tx.query(queries.removeTotp(userId, since));
      tx.defer(removed.length > 0 ? queries.removeCodes(userId) : queries.removeCodesSince(userId, since));
    });
  }

  /**
   * Offers a secret, which is valid once one of its codes has confirmed it. @throws Conflict if there is a valid one
   */
  async offer({ userId }: Person): Promise<{ secret: string; otpauth_uri: string; qr_svg: string }> {
    const secret = newSecret();
    const user = await this.users.get(userId);
    const encrypted = this.box.encrypt(secret, totpContext(userId));
    const offered = await this.database.transaction({ userId }, (tx) =>
      tx.query(queries.offerTotp(userId, encrypted, new Date())),
    );
    if (offered.length === 0) throw new Conflict('There is an authenticator app already: remove it first.');
    const uri = otpauthUri(secret, ISSUER, user.email);
    return { secret: base32(secret), otpauth_uri: uri, qr_svg: renderSVG(uri) };
  }

  /**
   * Confirms the secret. The first factor comes with recovery codes; a session that may only enrol becomes a full one.
   * @throws ValidationFailed for a wrong code; RateLimited after too many; NotFound without an offer
   */
  async confirm(
    principal: Principal,
    code: string,
    client: FirstFactor['client'],
  ): Promise<{ recovery_codes?: string[] }> {
    const { userId, tenantId, session } = personOf(principal) as Person;
    const now = new Date();
    const row = await this.find(userId);
    if (!row || row.confirmed_at) throw new NotFound('Authenticator app', userId);
    const secret = this.box.decryptBytes(row.secret, totpContext(userId));
    const user = await this.users.get(userId);
    // Counted with all other codes of the account: the offer could be that of another session.
    const attempt = { email: user.email, network: client.network, userId };
    const step = await this.limits.guard(attempt, () => Promise.resolve(matchingStep(secret, code, now)));
    if (step === undefined) throw wrongCode();
    const isFirst = (await this.factors.methodsOf(userId)).length === 0;
    const made = isFirst ? await this.codes.make() : undefined;
    await this.database.transaction({ userId }, async (tx) => {
      const confirmed = await tx.query(queries.confirmTotp(userId, row.secret, step, now));
      if (confirmed.length === 0) throw wrongCode();
      if (made) this.codes.store(tx, userId, made.hashes, now);
      await this.raiseEverywhere(tx, userId);
      await this.audit.record(tx, userId, 'totp.enabled', undefined, session.id);
      const data = {
        at: now.toISOString(),
        network: client.network,
        userAgent: client.userAgent,
        factor: 'totp' as const,
      };
      this.mailer.send(tx, { to: { address: user.email, name: user.name }, template: 'factor_added', data });
    });
    const home = tenantId ?? userId;
    await this.tenants.transaction({ tenantId: home }, (tx) => {
      if (principal.kind === 'enrol') tx.defer(queries.raiseSession(home, session.id, 'otp'));
      this.epochs.raiseMember(tx, userId);
      return Promise.resolve();
    });
    return made ? { recovery_codes: made.codes } : {};
  }

  /** @throws AppError `business_rule_violation` if it is the last factor and a tenant requires one; NotFound */
  async remove({ userId, session }: Person, client: FirstFactor['client']): Promise<void> {
    const isLast = (await this.factors.methodsOf(userId)).length === 1;
    if (isLast && (await this.isDemanded(userId))) {
      throw new AppError('business_rule_violation', 'A tenant of yours demands a second factor; this is the last one.');
    }
    const user = await this.users.get(userId);
    await this.database.transaction({ userId }, async (tx) => {
      const removed = await tx.query(queries.removeTotp(userId, ALWAYS));
      if (removed.length === 0) throw new NotFound('Authenticator app', userId);
      if (isLast) tx.defer(queries.removeCodes(userId));
      await this.raiseEverywhere(tx, userId);
      await this.audit.record(tx, userId, 'totp.disabled', undefined, session.id);
      const data = {
        at: new Date().toISOString(),
        network: client.network,
        userAgent: client.userAgent,
        factor: 'totp' as const,
      };
      this.mailer.send(tx, { to: { address: user.email, name: user.name }, template: 'factor_removed', data });
    });
  }

  /** Ten new recovery codes; the old ones are dead. @throws AppError `business_rule_violation` without a factor */
  async renewCodes({ userId, session }: Person, client: FirstFactor['client']): Promise<string[]> {
    if ((await this.factors.methodsOf(userId)).length === 0) {
      throw new AppError('business_rule_violation', 'Recovery codes come with a second factor: add one first.');
    }
    const { codes, hashes } = await this.codes.make();
    const user = await this.users.get(userId);
    await this.database.transaction({ userId }, async (tx) => {
      const now = new Date();
      this.codes.store(tx, userId, hashes, now);
      await this.audit.record(tx, userId, 'recovery_codes.renewed', undefined, session.id);
      const data = { at: now.toISOString(), network: client.network, userAgent: client.userAgent };
      this.mailer.send(tx, { to: { address: user.email, name: user.name }, template: 'recovery_codes_renewed', data });
    });
    return codes;
  }

  /**
   * Whether the code is right, near enough in time, and was not used: it is used then. @throws ValidationFailed for no
   * code
   */
  private async verify(userId: string, code: string): Promise<boolean> {
    if (!TOTP_CODE.test(code)) throw wrongCode('must be six digits');
    const row = await this.find(userId);
    if (!row?.confirmed_at) return false;
    const step = matchingStep(this.box.decryptBytes(row.secret, totpContext(userId)), code, new Date());
    if (step === undefined) return false;
    const used = await this.database.transaction({ userId }, (tx) => tx.query(queries.useStep(userId, step)));
    return used.length > 0;
  }

  private async find(userId: string): Promise<queries.TotpRow | undefined> {
    const [row] = await this.database.transaction({ userId }, (tx) =>
      tx.query<queries.TotpRow>(queries.findTotp(userId)),
    );
    return row;
  }

  /** The rule of any tenant on second factors applies to the person's sessions and keys there from now on. */
  private async raiseEverywhere(tx: Transaction, userId: string): Promise<void> {
    this.epochs.raisePerson(tx, userId, await tenantIdsOf(tx, userId));
  }

  private async isDemanded(userId: string): Promise<boolean> {
    for (const { tenantId, status } of await this.signIn.membershipsOf(userId)) {
      if (status === 'unconfirmed') continue;
      const [row] = await this.tenants.query<{ second_factor: string }>(
        { tenantId },
        {
          name: 'tenant_second_factor',
          text: 'select second_factor from tenants where id = $1',
          values: [tenantId],
        },
      );
      if (row?.second_factor === 'required') return true;
    }
    return false;
  }
}

function wrongCode(message = 'is not the code of this moment'): ValidationFailed {
  return new ValidationFailed([{ field: 'code', message, code: 'code' }]);
}

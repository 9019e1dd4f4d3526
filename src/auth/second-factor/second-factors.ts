import type { Client, Proof } from '../proofs/proof';
import { Injectable } from '@nestjs/common';
import { AppError, ValidationFailed } from '../../platform/errors';
import type { User } from '../../users/user.entity';

/** A kind of second factor that a person has. */
export type FactorMethod = 'totp' | 'passkey';

/** A look-up of a person's second factors; each kind of factor registers its own. */
export type FactorSource = (userId: string) => Promise<readonly FactorMethod[]>;

/** A person's input at a step-up. */
export type FactorProof = 'code' | 'passkey';

/** Checks a person's input; returns the methods (RFC 8176) that it proves, or undefined if it is wrong. */
export type FactorVerifier = (userId: string, value: unknown) => Promise<readonly string[] | undefined>;

/** A person who has proved one factor, and its methods. */
export interface FirstFactor {
  user: User;
  proof: Proof;
  client: Client;
}

/** Makes the refusal that carries a challenge for the second factor of a sign-in. */
export type Challenger = (
  proved: FirstFactor,
  methods: readonly FactorMethod[],
  tenantId: string | undefined,
) => Promise<AppError>;

/** The second factors of persons, of all kinds: each kind registers its look-up and its check. */
@Injectable()
export class SecondFactors {
  private readonly sources: FactorSource[] = [];
  private readonly verifiers = new Map<FactorProof, FactorVerifier>();
  private challenger?: Challenger;
  /** Makes the options of `navigator.credentials.get` for a person; set by the passkeys. */
  passkeyOptions?: (userId: string) => Promise<object>;

  register(source: FactorSource): void {
    this.sources.push(source);
  }

  registerVerifier(kind: FactorProof, verifier: FactorVerifier): void {
    this.verifiers.set(kind, verifier);
  }

  registerChallenger(challenger: Challenger): void {
    this.challenger = challenger;
  }

  /** The kinds that the person has; none for a person without a second factor. */
  async methodsOf(userId: string): Promise<FactorMethod[]> {
    const methods = await Promise.all(this.sources.map((source) => source(userId)));
    return methods.flat();
  }

  /** The methods that a proof shows, or undefined if it is wrong. @throws ValidationFailed without such a factor */
  verify(kind: FactorProof, userId: string, value: unknown): Promise<readonly string[] | undefined> {
    const verifier = this.verifiers.get(kind);
    if (!verifier)
      throw new ValidationFailed([{ field: kind, message: 'is no factor of this account', code: 'factor' }]);
    return verifier(userId, value);
  }

  /** The refusal (401 `second_factor_required`) of a sign-in that lacks the second factor. */
  challenge(proved: FirstFactor, methods: readonly FactorMethod[], tenantId?: string): Promise<AppError> {
    if (!this.challenger) throw new Error('there are second factors, and nothing makes challenges for them');
    return this.challenger(proved, methods, tenantId);
  }
}

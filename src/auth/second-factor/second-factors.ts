import { Injectable } from '@nestjs/common';

/** A kind of second factor that a person has. */
export type FactorMethod = 'totp' | 'passkey';

/** A way to learn which second factors a person has; each kind of factor registers its own. */
export type FactorSource = (userId: string) => Promise<readonly FactorMethod[]>;

/** The second factors of persons, of whatever kind. */
@Injectable()
export class SecondFactors {
  private readonly sources: FactorSource[] = [];

  register(source: FactorSource): void {
    this.sources.push(source);
  }

  /** The kinds that the person has; none for a person without a second factor. */
  async methodsOf(userId: string): Promise<FactorMethod[]> {
    const methods = await Promise.all(this.sources.map((source) => source(userId)));
    return methods.flat();
  }
}

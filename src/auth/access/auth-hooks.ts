import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Hooks } from '../../platform/hooks/hooks';
import { SecondFactors } from '../second-factor/second-factors';

/** The queries of other features to sign-in. */
@Injectable()
export class AuthHooks implements OnModuleInit {
  constructor(
    private readonly hooks: Hooks,
    private readonly factors: SecondFactors,
  ) {}

  onModuleInit(): void {
    this.hooks.personsWithSecondFactor.handleWith((userIds) => this.withSecondFactor(userIds));
  }

  private async withSecondFactor(userIds: readonly string[]): Promise<ReadonlySet<string>> {
    const methods = await Promise.all(userIds.map((userId) => this.factors.methodsOf(userId)));
    return new Set(userIds.filter((_, at) => (methods[at] ?? []).length > 0));
  }
}

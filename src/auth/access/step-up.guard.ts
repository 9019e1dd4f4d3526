import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { Forbidden, InsufficientAuthentication, STEP_UP_MAX_AGE } from '../../platform/errors';
import { personOf, ROUTE_METADATA } from '../../platform/http/requests/caller';
import { SecondFactors } from '../second-factor/second-factors';

/** Requires a fresh sign-in on routes with `@StepUp()`, with the second factor if the person has one. */
@Injectable()
export class StepUpGuard implements CanActivate {
  /** By handler: a look-up of metadata costs more than the rest of the guard. */
  private readonly marked = new WeakMap<object, boolean>();

  constructor(
    private readonly reflector: Reflector,
    private readonly factors: SecondFactors,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const handler = context.getHandler();
    let isMarked = this.marked.get(handler);
    if (isMarked === undefined) {
      const targets = [handler, context.getClass()];
      isMarked = this.reflector.getAllAndOverride<boolean | undefined>(ROUTE_METADATA.STEP_UP, targets) ?? false;
      this.marked.set(handler, isMarked);
    }
    return isMarked ? this.check(context.switchToHttp().getRequest<FastifyRequest>()) : true;
  }

  private async check({ principal }: FastifyRequest): Promise<boolean> {
    const person = principal && personOf(principal);
    if (!person) throw new Forbidden('API keys may not call this route.');
    const { session, userId } = person;
    const lacksFactor = session.acr === 'aal1' && (await this.factors.methodsOf(userId)).length > 0;
    const isFresh = new Date().getTime() - session.authTime.getTime() <= STEP_UP_MAX_AGE * 1000;
    if (lacksFactor || !isFresh) throw new InsufficientAuthentication({ secondFactor: lacksFactor });
    return true;
  }
}

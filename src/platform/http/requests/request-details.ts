/** Details of a request that a handler takes by name. */
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerAddress } from '../../net/client-network';

/** Hands the caller's address to a controller's method. */
export const CallerAddress = createParamDecorator((_: unknown, context: ExecutionContext): string =>
  callerAddress(context.switchToHttp().getRequest<FastifyRequest>()),
);

/** Hands the time at which the request came in; later than its first byte by the time of reading its head. */
export const ArrivedAt = createParamDecorator((_: unknown, context: ExecutionContext): Date => {
  const { elapsedTime } = context.switchToHttp().getResponse<FastifyReply>();
  return new Date(new Date().getTime() - elapsedTime);
});

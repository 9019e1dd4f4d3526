import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Client } from '../proofs/proof';
import { callerAddress, callerNetwork } from '../../platform/net/client-network';

const MAX_USER_AGENT = 256;

/** The client of a request; control characters of its user agent are dropped. */
function clientOf(request: FastifyRequest): Client {
  const userAgent = request.headers['user-agent'] ?? '';
  return {
    network: callerNetwork(request),
    address: callerAddress(request),
    userAgent: userAgent.replace(/\p{Cc}/gu, '').slice(0, MAX_USER_AGENT),
  };
}

/** Hands the client to a controller's method. */
export const CurrentClient = createParamDecorator((_: unknown, context: ExecutionContext) =>
  clientOf(context.switchToHttp().getRequest<FastifyRequest>()),
);

import type { FastifyReply, FastifyRequest } from 'fastify';
import { RateLimited, Unavailable } from '../../errors';

/** Smaller responses are free: they fit into the buffers of a connection, and the tenant's rate bounds them. */
const FREE_LENGTH = 16 * 1024;
const MIB = 1024 * 1024;

/** The methods whose requests can be repeated: any other request always gets its response. */
const CAN_BE_REFUSED: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Bounds the responses that wait for their clients, in a process and of one tenant, so that a tenant that requests
 * large pages and does not read them fills no memory. Lengths are those of the text, in UTF-16 units.
 */
export class ResponseBudget {
  private readonly usedBy = new Map<string, number>();
  private used = 0;

  constructor(
    private readonly max = 64 * MIB,
    private readonly maxPerTenant = 8 * MIB,
  ) {}

  /** Counts a response until it has been sent, or returns the refusal that replaces it. */
  charge(request: FastifyRequest, reply: FastifyReply, payload: unknown): RateLimited | Unavailable | undefined {
    if (typeof payload !== 'string' || payload.length <= FREE_LENGTH || !request.caller) return undefined;
    // The `close` of a response whose client has left was emitted before: its length would stay counted.
    if (request.raw.socket.destroyed) return undefined;
    const { tenantId } = request.caller;
    const { length } = payload;
    const ofTenant = this.usedBy.get(tenantId) ?? 0;
    if (CAN_BE_REFUSED.has(request.method)) {
      if (ofTenant > 0 && ofTenant + length > this.maxPerTenant) {
        return new RateLimited('Too many large responses at once; read those in progress.', 1);
      }
      if (this.used > 0 && this.used + length > this.max) {
        return new Unavailable('no capacity for the responses that wait for their clients');
      }
    }
    this.count(tenantId, length);
    reply.raw.once('close', () => this.count(tenantId, -length));
    return undefined;
  }

  private count(tenantId: string, change: number): void {
    const ofTenant = (this.usedBy.get(tenantId) ?? 0) + change;
    this.used += change;
    if (ofTenant > 0) this.usedBy.set(tenantId, ofTenant);
    else this.usedBy.delete(tenantId);
  }
}

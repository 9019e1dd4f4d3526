import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** The requests of one tenant that are under way in this process. */
export interface TenantLoad {
  inFlight: number;
}

/** Credentials that are known by their text, and tenants. */
const MAX_KNOWN = 10_000;
/** How long the largest load of all is taken as it was. */
const LOOK_EVERY_MS = 20;

declare module 'fastify' {
  interface FastifyRequest {
    /** The load that this request is part of, once its credential is known to be good. */
    load?: TenantLoad;
  }
}

/**
 * How much of each tenant is under way, and the tenant of a credential before it is checked again: under overload
 * requests are refused and queued by tenant, and nothing is read of them but the text of a header.
 *
 * Only credentials that were good are known. The requests of all others count as those of one tenant.
 */
@Injectable()
export class TenantLoads {
  private readonly byTenant = new Map<string, TenantLoad>();
  private readonly byCredential = new Map<string, TenantLoad>();
  /** The newest credential of a connection, so that a client that stays costs no look-up. */
  private readonly newest = new WeakMap<object, string>();
  private largest = { inFlight: 0, at: -Infinity };

  /** A request of the tenant begins. The log of requests counts it down once it has ended, however it did. */
  begin(tenantId: string, request: FastifyRequest): void {
    let load = this.byTenant.get(tenantId);
    if (!load) this.add(this.byTenant, tenantId, (load = { inFlight: 0 }));
    load.inFlight++;
    request.load = load;
    this.note(request, load);
  }

  /** The load of a credential's tenant; undefined for a credential that is not known. */
  of(credential: string | undefined): TenantLoad | undefined {
    return credential === undefined ? undefined : this.byCredential.get(credential);
  }

  /** Whether a tenant has about as much under way as the tenant that has most, or no tenant has anything. */
  isHeaviest(load: TenantLoad | undefined, now: number): boolean {
    if (now - this.largest.at > LOOK_EVERY_MS) {
      let inFlight = 0;
      for (const one of this.byTenant.values()) inFlight = Math.max(inFlight, one.inFlight);
      this.largest = { inFlight, at: now };
    }
    return (load?.inFlight ?? 0) * 2 >= this.largest.inFlight;
  }

  private note({ raw, headers }: FastifyRequest, load: TenantLoad): void {
    const { authorization } = headers;
    if (authorization === undefined || this.newest.get(raw.socket) === authorization) return;
    this.newest.set(raw.socket, authorization);
    if (this.byCredential.get(authorization) !== load) this.add(this.byCredential, authorization, load);
  }

  private add(loads: Map<string, TenantLoad>, key: string, load: TenantLoad): void {
    if (loads.size >= MAX_KNOWN) loads.delete(loads.keys().next().value as string);
    loads.set(key, load);
  }
}

import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** The load of one tenant in this process. */
export interface TenantLoad {
  /** Requests in flight. */
  inFlight: number;
  /** Requests of late, each of which counts for less with time; as of `at`, by `performance.now()`. */
  recent: number;
  at: number;
}

/** Credentials that are known by their text, and tenants. */
const MAX_KNOWN = 10_000;
/** How long the largest load of all is taken as it was. */
const REFRESH_INTERVAL_MS = 20;
/** After so long a request counts for a little more than a third. */
const RECENT_MS = 1_000;

declare module 'fastify' {
  interface FastifyRequest {
    /** The load that this request is part of, once its credential is known to be good. */
    load?: TenantLoad;
  }
}

/**
 * The load of each tenant, and the tenant of a credential before its next check: under overload, requests are refused
 * and queued by tenant, and only the text of one header is read.
 *
 * Only credentials that were good are known. The requests of all others count as those of one tenant.
 */
@Injectable()
export class TenantLoads {
  private readonly byTenant = new Map<string, TenantLoad>();
  private readonly byCredential = new Map<string, TenantLoad>();
  /** The newest credential of a connection, so that a client that stays costs no look-up. */
  private readonly newest = new WeakMap<object, string>();
  private largest = { weight: 0, at: -Infinity };

  /**
   * A request of the tenant begins. The log of requests counts it down once it has ended, however it did; for a client
   * that has left, that was before.
   */
  begin(tenantId: string, request: FastifyRequest): void {
    if (request.raw.socket.destroyed) return;
    let load = this.byTenant.get(tenantId);
    if (!load) this.add(this.byTenant, tenantId, (load = { inFlight: 0, recent: 0, at: 0 }));
    load.inFlight++;
    count(load, performance.now());
    request.load = load;
    this.note(request, load);
  }

  /** The load of a credential's tenant; undefined for a credential that is not known. */
  of(credential: string | undefined): TenantLoad | undefined {
    return credential === undefined ? undefined : this.byCredential.get(credential);
  }

  /**
   * Counts a request that arrives under overload, whether it will be refused or not, and tells whether its tenant asks
   * about as much as the tenant with most requests: those in flight, and recent ones.
   */
  isHeaviest(load: TenantLoad | undefined, now: number): boolean {
    if (load) count(load, now);
    if (now - this.largest.at > REFRESH_INTERVAL_MS) {
      let weight = 0;
      for (const one of this.byTenant.values()) weight = Math.max(weight, weightOf(one, now));
      this.largest = { weight, at: now };
    }
    return (load ? weightOf(load, now) : 0) * 2 >= this.largest.weight;
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

function count(load: TenantLoad, now: number): void {
  load.recent = recentOf(load, now) + 1;
  load.at = now;
}

function recentOf({ recent, at }: TenantLoad, now: number): number {
  return recent * Math.exp((at - now) / RECENT_MS);
}

function weightOf(load: TenantLoad, now: number): number {
  return load.inFlight + recentOf(load, now);
}

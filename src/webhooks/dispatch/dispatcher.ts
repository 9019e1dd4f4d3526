import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../platform/config/config';
import { DispatcherDatabase } from '../../platform/database/roles/dispatcher-database';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import type { DeliveryJob } from '../notifications/delivery-job';
import type { BreakerState } from './breaker';
import { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { DeliveryQueue } from './delivery-queue';
import { dueTime } from './due-time';
import type { LaneName, SubscriberRow } from './dispatch.queries';
import { EndpointQueue } from './endpoint-queue';
import { LaneReader } from './lane-reader';
import { LeftoverJobs } from './leftover-jobs';
import { Places, type TenantPlaces } from './places';
import { Turns } from './turns';
import { OwnedShards } from '../../platform/shards/owned-shards';
import { findWaitingEndpoints, type WaitingEndpoint } from './waiting.queries';
import type { AttemptEnd } from '../notifications/attempt-ended';
import type { DispatchRequest } from '../notifications/dispatch-request';

/** Deliveries of one tenant in one turn: reading and writing them together costs less. */
const DELIVERIES_A_TURN = 32;
/** Whole turns in one add to the queue. */
const JOBS_AT_ONCE = 6 * DELIVERIES_A_TURN;
const MAX_ENDPOINTS = 50_000;
const TICK_MS = 25;
const SWEEP_MS = 5_000;
const AUDIT_MS = 1_000;
/** How often and for how many jobs in flight the dispatcher queries the queue. */
const SUSPECT_AFTER_MS = 2_000;
const SUSPECTS_AT_ONCE = 200;

/** A delivery that fan-out has just made. */
export interface Offer {
  tenantId: string;
  deliveryId: string;
  /** Its endpoint at the time of the delivery's creation. */
  endpoint: SubscriberRow;
}

/** A known tenant. */
interface KnownTenant extends TenantPlaces {
  endpoints: Map<string, EndpointQueue>;
  /** Its endpoints with something to send or to read. */
  turns: Turns<EndpointQueue>;
}

/**
 * Decides which deliveries are sent next. It runs in one process, the leader, and keeps the head of each waiting
 * endpoint's queue; the rest waits in PostgreSQL. It admits a few deliveries per endpoint and tenant to BullMQ,
 * round-robin, so that a tenant with a million waiting deliveries delays no other. Endpoints that hang or have not
 * responded yet share a part of the workers. All of its state can be read again: after a crash or a lost queue, the
 * sweep finds the due deliveries.
 */
@Injectable()
export class Dispatcher {
  private readonly tenants = new Map<string, KnownTenant>();
  /** Tenants with deliveries to send or to read, so that the cost does not grow with idle tenants. */
  private readonly turns = new Turns<KnownTenant>();
  private readonly places: Places;
  private readonly leftovers: LeftoverJobs;
  private readonly lanes: LaneReader;
  private running = false;
  /** One add at a time: deliveries that end meanwhile make the next one larger. */
  private adding = false;
  private pausedUntil = 0;
  /** Until then only endpoints without deliveries in flight get jobs. */
  private refillAt = 0;
  /** Since the last tick. */
  private hasAdmitted = false;
  private pumping = false;
  private sweeping = false;
  private timers: NodeJS.Timeout[] = [];

  constructor(
    config: Config,
    private readonly discovery: DispatcherDatabase,
    database: TenantDatabase,
    private readonly queue: DeliveryQueue,
    metrics: DeliveryMetrics,
    private readonly shards: OwnedShards,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.leftovers = new LeftoverJobs(queue);
    this.places = new Places(config.WEBHOOK_CONCURRENCY);
    this.lanes = new LaneReader(database, metrics);
  }

  /** Begins with empty state, and reads the waiting deliveries. */
  start(): void {
    this.running = true;
    this.timers = [
      setInterval(() => this.tick(), TICK_MS),
      setInterval(() => void this.sweep(), SWEEP_MS),
      setInterval(() => void this.audit(), AUDIT_MS),
    ];
    void this.takeOver();
  }

  /** Reads the jobs that the previous leader has left in the queue, before any waiting delivery is read. */
  async takeOver(): Promise<void> {
    const failed = (error: Error) => this.logger.warn({ reason: error.message }, 'the queue could not be read');
    await this.leftovers.learn().catch(failed);
    await this.sweep();
  }

  /**
   * Sets the capacity of all workers together. After the loss of a worker, its deliveries in flight do not count
   * against their receivers.
   */
  resize(capacity: number): void {
    this.places.resize(capacity);
  }

  get demand(): number {
    let ready = 0;
    for (const tenant of this.turns.values()) {
      for (const each of tenant.turns.values())
        ready += each.lanes.pending.ready.size + each.lanes.retrying.ready.size;
    }
    return this.inUse + ready;
  }

  get inUse(): number {
    let sum = 0;
    for (const tenant of this.tenants.values()) sum += tenant.underWay;
    return sum;
  }

  async release(): Promise<void> {
    for (const [tenantId, tenant] of this.tenants) {
      if (this.shards.owns(tenantId)) continue;
      for (const endpoint of tenant.endpoints.values())
        for (const id of [...endpoint.underWay.keys()]) this.release1(endpoint, id);
      this.tenants.delete(tenantId);
      this.turns.delete(tenantId);
    }
    while (this.adding) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  doubtInFlight(): void {
    for (const { endpoints } of this.tenants.values()) endpoints.forEach((each) => each.doubt(performance.now()));
  }

  /** Whether this process decides. */
  get isRunning(): boolean {
    return this.running;
  }

  /** The number of known endpoints by state of the breaker. */
  breakers(): Record<BreakerState, number> {
    const counts = { closed: 0, half_open: 0, open: 0 };
    for (const tenant of this.tenants.values()) {
      for (const endpoint of tenant.endpoints.values()) counts[endpoint.breakerState]++;
    }
    return counts;
  }

  /** Stops and drops all state. */
  stop(): void {
    this.running = false;
    for (const timer of this.timers) clearInterval(timer);
    this.tenants.clear();
    this.turns.clear();
    this.places.clear();
    this.leftovers.clear();
  }

  /** Takes deliveries that were just committed. */
  offer(offers: readonly Offer[]): void {
    if (!this.running || offers.length === 0) return;
    for (const { tenantId, deliveryId, endpoint: settings } of offers) {
      const endpoint = this.endpoint(tenantId, settings.id);
      endpoint.applySettings(settings);
      endpoint.offer(deliveryId);
      this.activate(endpoint);
    }
    this.pump();
  }

  /** Takes ends of attempts, and gives their permits to the next deliveries. */
  ended(ends: readonly AttemptEnd[]): void {
    if (!this.running) return;
    for (const end of ends) this.end(end);
    // Immediately, so that the next jobs are in the queue when the ended ones ask for more.
    this.pump();
  }

  private end(end: AttemptEnd): void {
    this.leftovers.ended(end.deliveryId);
    const endpoint = this.endpoint(end.tenantId, end.endpointId);
    this.release1(endpoint, end.deliveryId, end.ok, end.durationMs);
    if (end.nextAttemptAt !== undefined) {
      const lane = endpoint.lanes.retrying;
      lane.nextDueAt = Math.min(lane.nextDueAt, dueTime(end.nextAttemptAt));
    }
    // In an ordered endpoint the end of one delivery may release another.
    if (endpoint.ordered || end.ok === undefined) this.lookAgain(endpoint);
  }

  /** Reads an endpoint again after a manual request or a change of the endpoint. */
  requested(request: DispatchRequest): void {
    if (!this.running) return;
    const endpoint = this.endpoint(request.tenantId, request.endpointId);
    if (request.deliveryId !== undefined) void this.admitRequested(endpoint, request.deliveryId);
    else this.lookAgain(endpoint, true);
    this.pump();
  }

  /** Puts a manually requested delivery before all waiting ones; if that fails, it gets its regular turn. */
  private async admitRequested(endpoint: EndpointQueue, deliveryId: string): Promise<void> {
    try {
      const attempt = await this.lanes.attemptOf(endpoint.tenantId, deliveryId);
      if (attempt === undefined || !this.running) return;
      endpoint.request({ deliveryId, attempt });
      this.activate(endpoint);
      this.pump();
    } catch (error) {
      this.logger.warn(
        { reason: (error as Error).message, delivery_id: deliveryId },
        'a requested delivery could not be read',
      );
      this.lookAgain(endpoint);
    }
  }

  private lookAgain(endpoint: EndpointQueue, anew = false): void {
    endpoint.lookAgain(anew);
    this.activate(endpoint);
  }

  /** Adds an endpoint to the round robin. */
  private activate({ tenantId, endpointId }: EndpointQueue): void {
    const tenant = this.tenants.get(tenantId);
    const endpoint = tenant?.endpoints.get(endpointId);
    if (!tenant || !endpoint) return;
    if (!tenant.turns.get(endpointId)) tenant.turns.set(endpointId, endpoint);
    if (!this.turns.get(tenantId)) this.turns.set(tenantId, tenant);
  }

  /** A delivery of a quiet endpoint may have become due. */
  private tick(): void {
    const now = performance.now();
    for (const tenant of this.tenants.values()) {
      if (tenant.turns.size === tenant.endpoints.size) continue;
      for (const endpoint of tenant.endpoints.values()) if (!endpoint.isQuiet(now)) this.activate(endpoint);
    }
    this.pump(true);
  }

  private schedulePump(): void {
    if (this.pumping) return;
    this.pumping = true;
    setImmediate(() => {
      this.pumping = false;
      this.pump();
    });
  }

  /**
   * Admits deliveries round-robin by tenant until the limiter or the queues are exhausted. An endpoint with deliveries
   * in flight waits until a full batch fits, or nothing moves, so that batches do not fragment in the queue and in the
   * database. Where permits are scarce, an idle endpoint is admitted at once.
   */
  private pump(isTick = false): void {
    if (!this.running) return;
    const now = performance.now();
    if (now < this.pausedUntil) return;
    this.places.takeStock(now);
    const jobs: DeliveryJob[] = [];
    const mayRefill = now >= this.refillAt;
    const isStill = isTick && !this.hasAdmitted;
    let progress = true;
    while (progress && this.places.free > 0 && !this.adding && jobs.length < JOBS_AT_ONCE) {
      progress = false;
      for (const [tenantId, tenant] of this.turns.round()) {
        if (this.places.free <= 0) break;
        const before = jobs.length;
        this.takeTurn(tenant, jobs, now, mayRefill && (isStill || this.places.hasRoomFor(DELIVERIES_A_TURN)));
        if (tenant.turns.size === 0) this.turns.delete(tenantId);
        if (jobs.length === before) continue;
        this.turns.served(tenantId);
        progress = true;
      }
    }
    if (isTick) this.hasAdmitted = false;
    if (jobs.length > 0) {
      this.hasAdmitted = true;
      if (mayRefill) this.refillAt = now + this.queue.pauseAfter(jobs.length);
      void this.add(jobs);
    }
    if (jobs.length >= JOBS_AT_ONCE) this.schedulePump();
  }

  /** Adds the deliveries of a tenant's turn to the jobs; its endpoints share it evenly, the longest waiting first. */
  private takeTurn(tenant: KnownTenant, jobs: DeliveryJob[], now: number, refilling: boolean): void {
    const share = Math.ceil(DELIVERIES_A_TURN / tenant.turns.size);
    const end = Math.min(JOBS_AT_ONCE, jobs.length + DELIVERIES_A_TURN);
    for (const [endpointId, endpoint] of tenant.turns.round()) {
      if (this.places.free <= 0 || jobs.length === end) return;
      this.fillIfNeeded(endpoint, now);
      if (!refilling && endpoint.underWay.size > 0) continue;
      const before = jobs.length;
      const most = Math.min(end, before + share);
      while (jobs.length < most) {
        const ready = this.places.take(tenant, endpoint, now);
        if (!ready) break;
        jobs.push({ tenantId: endpoint.tenantId, deliveryId: ready.deliveryId, attempt: ready.attempt });
      }
      if (jobs.length > before) tenant.turns.served(endpointId);
      else if (endpoint.isQuiet(now)) tenant.turns.delete(endpointId);
    }
  }

  private async add(jobs: DeliveryJob[]): Promise<void> {
    this.adding = true;
    try {
      await this.queue.add(jobs);
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message, jobs: jobs.length }, 'the queue took no jobs');
      this.pausedUntil = performance.now() + 500;
      for (const job of jobs) this.forget(job.tenantId, job.deliveryId);
    } finally {
      this.adding = false;
    }
    this.schedulePump();
  }

  private fillIfNeeded(endpoint: EndpointQueue, now: number): void {
    for (const name of ['pending', 'retrying'] as const) {
      if (this.lanes.isFree && endpoint.lanes[name].needsFilling(now)) void this.fill(endpoint, name);
    }
  }

  private async fill(endpoint: EndpointQueue, name: LaneName): Promise<void> {
    try {
      await this.lanes.fill(endpoint, name);
    } catch (error) {
      this.pausedUntil = performance.now() + 250;
      this.logger.warn({ reason: (error as Error).message }, 'waiting deliveries could not be read');
    }
    this.schedulePump();
  }

  /** Finds waiting deliveries after a start, a lost message or a lost queue, and those that became due unnoticed. */
  private async sweep(): Promise<void> {
    if (this.sweeping) return;
    this.sweeping = true;
    try {
      const waiting = await this.discovery.query<WaitingEndpoint>(
        findWaitingEndpoints(this.shards, MAX_ENDPOINTS, this.discovery.isDistributed),
      );
      if (!this.running) return;
      for (const row of waiting) {
        if (!this.shards.owns(row.tenant_id)) continue;
        const endpoint = this.endpoint(row.tenant_id, row.endpoint_id);
        const lane = endpoint.lanes[row.status];
        const dueAt = dueTime(row.next_attempt_at.getTime());
        if (dueAt <= performance.now()) lane.more = true;
        else lane.nextDueAt = Math.min(lane.nextDueAt, dueAt);
        this.activate(endpoint);
      }
      this.dropIdle();
      this.pump();
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'the sweep failed');
    } finally {
      this.sweeping = false;
    }
  }

  /** Compares the jobs in flight with the queue: a queue that was flushed or replaced has lost jobs. */
  private async audit(): Promise<void> {
    const now = performance.now();
    const suspects: DeliveryJob[] = [];
    for (const tenant of this.tenants.values()) {
      for (const endpoint of tenant.endpoints.values()) {
        for (const [deliveryId, entry] of endpoint.underWay) {
          if (entry.seenAt > now - SUSPECT_AFTER_MS || suspects.length >= SUSPECTS_AT_ONCE) continue;
          entry.seenAt = now;
          suspects.push({ tenantId: endpoint.tenantId, deliveryId, attempt: entry.attempt });
        }
      }
    }
    try {
      if (await this.leftovers.audit()) void this.sweep();
      if (suspects.length === 0) return;
      for (const lost of await this.queue.missing(suspects)) this.forget(lost.tenantId, lost.deliveryId);
    } catch {
      // unavailable: adds fail too, and report it
    }
  }

  /** A delivery is no longer in flight, but its end is unknown: it is read again. */
  private forget(tenantId: string, deliveryId: string): void {
    for (const endpoint of this.tenants.get(tenantId)?.endpoints.values() ?? []) {
      if (!endpoint.underWay.has(deliveryId)) continue;
      this.release1(endpoint, deliveryId);
      this.lookAgain(endpoint);
    }
  }

  private release1(endpoint: EndpointQueue, deliveryId: string, ok?: boolean, durationMs = 0): void {
    const now = performance.now();
    const since = endpoint.ended(deliveryId, ok, durationMs, now);
    if (since === undefined) return;
    this.places.giveBack(endpoint, ok ? now - since : undefined);
  }

  private endpoint(tenantId: string, endpointId: string): EndpointQueue {
    let tenant = this.tenants.get(tenantId);
    if (!tenant) {
      tenant = { underWay: 0, unproven: 0, endpoints: new Map(), turns: new Turns() };
      this.tenants.set(tenantId, tenant);
    }
    let endpoint = tenant.endpoints.get(endpointId);
    if (!endpoint)
      tenant.endpoints.set(endpointId, (endpoint = new EndpointQueue(tenantId, endpointId, this.leftovers)));
    return endpoint;
  }

  private dropIdle(): void {
    const now = performance.now();
    for (const [tenantId, tenant] of this.tenants) {
      for (const [endpointId, endpoint] of tenant.endpoints) {
        if (!endpoint.isIdle(now)) continue;
        tenant.endpoints.delete(endpointId);
        tenant.turns.delete(endpointId);
      }
      if (tenant.endpoints.size > 0) continue;
      this.tenants.delete(tenantId);
      this.turns.delete(tenantId);
    }
  }
}

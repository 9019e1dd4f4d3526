import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AttemptEnd } from '../notifications/attempt-ended';
import type { Turn } from '../notifications/delivery-job';
import type { DispatchRequest } from '../notifications/dispatch-request';
import { Admission, type Admitted } from './admission';
import type { BreakerState } from './circuit-breaker';
import { ConcurrencyLimiter } from './concurrency-limiter';
import type { DeliveryQueue } from './delivery-queue';
import { dueTime } from './due-time';
import type { EndpointQueue } from './endpoint-queue';
import { QueueAudit } from './queue-audit';
import { Sweep } from './sweep';
import { type Offer, TenantQueues } from './tenant-queues';
import { TurnAdder } from './turn-adder';
import { EarliestTimer } from './earliest-timer';
import type { WaitingEndpoint } from './waiting.queries';
import type { WaitingReader } from './waiting-reader';

const SWEEP_MS = 5_000;
const AUDIT_MS = 1_000;
/** The pause after the queue could not be read. */
const PAUSE_MS = 500;

/** The queue, the tenants and the permits of one dispatcher. */
export interface DispatcherOptions {
  /** Its own queue. */
  queue: Pick<DeliveryQueue, 'add' | 'collectMs' | 'missing' | 'turns'>;
  /** The queue of the release before, as long as its jobs may still be there. */
  previousQueue?: Pick<DeliveryQueue, 'missing' | 'turns'>;
  reader: Pick<WaitingReader, 'refill' | 'nextAttempt'>;
  /** Finds the endpoints of its tenants with waiting deliveries. */
  findWaiting: () => Promise<WaitingEndpoint[]>;
  /** Whether it decides for a tenant; `takeOver` and `release` follow each change. */
  isOwned: (tenantId: string) => boolean;
  /** Its permits: deliveries in flight at once. */
  capacity: number;
  logger: Logger;
}

/**
 * `ready`: deliveries are admitted. `adding`: the queue takes the last turns, and deliveries that end meanwhile make
 * the next ones larger. `paused`: the queue has not taken them. `stopped`: the dispatcher makes no decisions.
 */
type Mode = 'ready' | 'adding' | 'paused' | 'stopped';

/**
 * Decides which deliveries of its tenants are sent next. It keeps the head of each waiting endpoint's queue; the rest
 * waits in PostgreSQL. It admits a few deliveries per endpoint and tenant to BullMQ, round-robin, so that a tenant with
 * a million waiting deliveries delays no other. All of its state can be read again: after a crash or a lost queue, the
 * sweep finds the due deliveries. An instance is started and stopped once.
 */
export class Dispatcher {
  private mode: Mode = 'stopped';
  /** Nothing is admitted while the jobs of a previous owner are read. */
  private takeOvers = 0;
  private readonly limiter: ConcurrencyLimiter;
  private readonly audit: QueueAudit;
  private readonly tenants: TenantQueues;
  private readonly admission: Admission;
  private readonly sweep: Sweep;
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly adder: TurnAdder;
  private readonly nextAdmission = new EarliestTimer(() => this.admit(true), SWEEP_MS);
  private scheduled?: NodeJS.Immediate;

  constructor(private readonly options: DispatcherOptions) {
    const { queue, previousQueue, reader, capacity, findWaiting, logger } = options;
    this.limiter = new ConcurrencyLimiter(capacity);
    this.audit = new QueueAudit(queue, previousQueue);
    this.tenants = new TenantQueues(this.audit);
    const refill = (endpoint: EndpointQueue, now: number) =>
      reader.refill(endpoint, now, () => this.scheduleAdmission());
    this.admission = new Admission(this.tenants, this.limiter, refill, queue.collectMs);
    this.adder = new TurnAdder(queue, options.isOwned, () => this.onQueueUnavailable(), logger);
    this.sweep = new Sweep(findWaiting, (waiting) => this.expectWaiting(waiting), logger);
  }

  /** Begins to decide; each tenant is taken over before. */
  start(): void {
    this.mode = 'ready';
    this.timers.push(
      setInterval(() => void this.sweep.run(), SWEEP_MS),
      setInterval(() => void this.auditQueue(), AUDIT_MS),
    );
  }

  /**
   * Takes over tenants from a process that decided for them before: reads the jobs that it has left, then the waiting
   * deliveries, and admits from then on.
   */
  async takeOver(isGained: (tenantId: string) => boolean): Promise<void> {
    this.takeOvers++;
    while (!this.isStopped && !(await this.hasReadLeftovers(isGained))) await delay(PAUSE_MS);
    this.takeOvers--;
    if (this.isStopped) return;
    this.admit();
    await this.sweep.runAgain();
  }

  /** Without the jobs of the previous owner, their deliveries would be admitted to a second job, and sent twice. */
  private async hasReadLeftovers(isGained: (tenantId: string) => boolean): Promise<boolean> {
    try {
      await this.audit.readLeftovers(performance.now(), isGained);
      return true;
    } catch (error) {
      this.options.logger.warn({ reason: (error as Error).message }, 'the queue could not be read; trying again');
      return false;
    }
  }

  /**
   * Drops the tenants that it no longer owns.
   * @returns a promise that resolves when none of their deliveries is added to the queue any more
   */
  async release(): Promise<void> {
    const { isOwned } = this.options;
    for (const tenantId of this.tenants.dropTenants(isOwned)) this.limiter.dropTenant(tenantId);
    this.audit.release(isOwned);
    await this.adder.settled();
    this.scheduleAdmission();
  }

  /** Stops all decisions. An add in flight may still reach the queue. */
  stop(): void {
    this.mode = 'stopped';
    for (const timer of this.timers) clearInterval(timer);
    this.nextAdmission.stop();
    this.adder.stop();
    clearImmediate(this.scheduled);
  }

  /** Sets the number of permits. */
  resize(capacity: number): void {
    this.limiter.resize(capacity);
  }

  /** After the loss of a worker or of the queue, the deliveries in flight do not count against their receivers. */
  disregardInFlight(): void {
    for (const endpoint of this.tenants.endpoints()) endpoint.disregardInFlight(performance.now());
  }

  /** The permits that it could use now: deliveries in flight, and those that are known and ready. */
  get demand(): number {
    return this.limiter.used + this.tenants.readyCount(performance.now());
  }

  /** The permits in use. */
  get inUse(): number {
    return Math.ceil(this.limiter.used);
  }

  /** The number of known endpoints by state of the breaker. */
  breakerStates(): Record<BreakerState, number> {
    return this.tenants.breakerStates();
  }

  /** Takes deliveries that were just committed, except those of a tenant that has another owner by now. */
  offer(offers: readonly Offer[]): void {
    if (this.isStopped) return;
    for (const offer of offers) if (this.options.isOwned(offer.tenantId)) this.tenants.offer(offer);
    this.admit();
  }

  /** Takes ends of attempts, and gives their permits to the next deliveries. */
  completeAttempts(ends: readonly AttemptEnd[]): void {
    if (this.isStopped) return;
    for (const end of ends) this.completeAttempt(end);
    // Immediately, so that the next jobs are in the queue when the ended ones ask for more.
    this.admit();
  }

  private completeAttempt(end: AttemptEnd): void {
    const now = performance.now();
    this.audit.complete(end.deliveryId, end.attempt);
    const endpoint = this.tenants.endpoint(end.tenantId, end.endpointId);
    this.releasePermit(endpoint, end, now);
    if (end.nextAttemptAt !== undefined) endpoint.expect('retrying', dueTime(end.nextAttemptAt), now);
    // In an ordered endpoint the end of one delivery may release another.
    if (endpoint.isOrdered || end.ok === undefined) endpoint.refresh();
    if (!endpoint.isInactive(now) || end.nextAttemptAt !== undefined) this.tenants.activate(endpoint);
  }

  private releasePermit(endpoint: EndpointQueue, end: Omit<AttemptEnd, 'tenantId' | 'endpointId'>, now: number): void {
    const since = endpoint.complete(end, now);
    if (since !== undefined) this.limiter.release(endpoint, end.ok ? now - since : undefined);
  }

  /** Reads an endpoint again after a manual request or a change of the endpoint. */
  handleRequest({ tenantId, endpointId, deliveryId }: DispatchRequest): void {
    if (this.isStopped) return;
    const endpoint = this.tenants.endpoint(tenantId, endpointId);
    if (deliveryId !== undefined) void this.requestNow(endpoint, deliveryId);
    else this.refresh(endpoint, true);
  }

  /** Puts a manually requested delivery before all waiting ones; if that fails, it gets its regular turn. */
  private async requestNow(endpoint: EndpointQueue, deliveryId: string): Promise<void> {
    try {
      const attempt = await this.options.reader.nextAttempt(endpoint.tenantId, deliveryId);
      if (attempt === undefined) return;
      endpoint.requestNow({ deliveryId, attempt });
      this.tenants.activate(endpoint);
      this.admit();
    } catch (error) {
      const { message } = error as Error;
      this.options.logger.warn({ reason: message, delivery_id: deliveryId }, 'a requested delivery could not be read');
      this.refresh(endpoint);
    }
  }

  private refresh(endpoint: EndpointQueue, anew = false): void {
    endpoint.refresh(anew);
    this.tenants.activate(endpoint);
    this.admit();
  }

  private expectWaiting(waiting: readonly WaitingEndpoint[]): void {
    if (this.isStopped) return;
    const now = performance.now();
    for (const row of waiting) {
      if (!this.options.isOwned(row.tenant_id)) continue;
      const endpoint = this.tenants.endpoint(row.tenant_id, row.endpoint_id);
      endpoint.expect(row.status, dueTime(row.next_attempt_at.getTime()), now);
      this.tenants.activate(endpoint);
    }
    this.tenants.dropIdle(now);
    this.admit();
  }

  /** Compares the jobs in flight with the queue; the deliveries of lost jobs are read again. */
  private async auditQueue(): Promise<void> {
    try {
      const lost = await this.audit.check(performance.now());
      for (const { endpoint, deliveryId, attempt } of lost.deliveries) {
        this.releasePermit(endpoint, { deliveryId, attempt }, performance.now());
        endpoint.refresh();
        this.tenants.activate(endpoint);
      }
      if (lost.leftovers) void this.sweep.run();
      this.admit();
    } catch {
      // unavailable: adds fail too, and report it
    }
  }

  private scheduleAdmission(): void {
    this.scheduled ??= setImmediate(() => this.admit());
  }

  /** Admits what may be sent now, and schedules the next admission. @param isTimer whether no event is the cause */
  private admit(isTimer = false): void {
    clearImmediate(this.scheduled);
    this.scheduled = undefined;
    if (this.mode !== 'ready' || this.takeOvers > 0) return;
    const now = performance.now();
    this.limiter.setLeftovers(this.audit.leftovers);
    this.tenants.activateDue(now);
    const turns = this.admission.next(now, isTimer);
    if (turns.length > 0) void this.add(turns);
    this.nextAdmission.schedule(
      this.tenants.active.size > 0 ? this.admission.nextCheckAt : this.tenants.nextDueAt,
      now,
    );
  }

  private async add(turns: readonly Turn<Admitted>[]): Promise<void> {
    this.mode = 'adding';
    this.audit.trackAdding(turns);
    await this.adder.add(turns);
    this.audit.markAdded(turns, performance.now());
    if (this.isStopped) return;
    this.mode = 'ready';
    this.scheduleAdmission();
  }

  private onQueueUnavailable(): void {
    if (this.isStopped) return;
    this.mode = 'paused';
    this.disregardInFlight();
  }

  private get isStopped(): boolean {
    return this.mode === 'stopped';
  }
}

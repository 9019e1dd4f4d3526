import { DELIVERIES_A_TURN } from '../notifications/delivery-job';

/** Maximum deliveries that occupy the worker itself at once: those being loaded, signed or recorded. */
const MAX_LOCAL = 192;
/** After this time in flight a request counts as waiting for its receiver, milliseconds. */
const WAITING_AFTER_MS = 25;
const TICK_MS = 25;

/** The part of BullMQ's worker that is used. */
export interface ConsumerControl {
  /** Its maximum number of jobs at once. */
  concurrency: number;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
}

/** The jobs of one worker of BullMQ. */
export interface Consumption {
  beginJob(deliveries: number): void;
  endDelivery(): void;
  /** @param left its deliveries without a call of `endDelivery` */
  endJob(left: number): void;
  /** The worker takes no more jobs. */
  remove(): void;
}

interface Consumer {
  readonly control: ConsumerControl;
  jobs: number;
}

/**
 * Decides how many deliveries a process takes from its queues at once: few that occupy the process itself, plus all
 * that wait for their receivers, up to a bound. So fast receivers are served with few jobs, and slow ones block no
 * other. BullMQ counts jobs, of 1 to 32 deliveries each: a job is taken while one more delivery is allowed, so the
 * bound may be passed by the rest of one turn.
 */
export class AdaptiveConcurrency {
  private readonly consumers = new Set<Consumer>();
  private timer: NodeJS.Timeout | undefined;
  private deliveries = 0;
  private limit: number;
  /** The free jobs by which the consumers were set. */
  private appliedJobs = 0;
  /** How often a job began or ended. */
  private changes = 0;
  private changesSeen = 0;
  private raised = false;
  private stopped = false;

  /**
   * @param maximum upper bound of deliveries at once
   * @param inFlightFor the number of requests in flight for at least this time, milliseconds
   */
  constructor(
    private readonly maximum: number,
    private readonly inFlightFor: (milliseconds: number) => number,
  ) {
    this.limit = Math.min(maximum, MAX_LOCAL);
  }

  /** Decides for a worker of BullMQ from now on. */
  add(control: ConsumerControl): Consumption {
    const consumer: Consumer = { control, jobs: 0 };
    this.consumers.add(consumer);
    this.apply();
    this.raised = false;
    return {
      beginJob: (deliveries) => this.update(consumer, 1, deliveries),
      endDelivery: () => this.update(consumer, 0, -1),
      endJob: (left) => this.update(consumer, -1, -left),
      remove: () => this.consumers.delete(consumer),
    };
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
  }

  private update(consumer: Consumer, jobs: number, deliveries: number): void {
    consumer.jobs += jobs;
    this.deliveries += deliveries;
    if (jobs !== 0 || this.freeJobs !== this.appliedJobs) this.apply();
    if (jobs !== 0) {
      this.changes++;
      this.raised = false; // BullMQ's worker reads the value when a job begins or ends
    }
    if (this.deliveries >= this.limit && !this.stopped) this.timer ??= setInterval(() => void this.tick(), TICK_MS);
  }

  /** The free deliveries as jobs of the largest size, rounded up. */
  private get freeJobs(): number {
    return Math.max(0, Math.ceil((this.limit - this.deliveries) / DELIVERIES_A_TURN));
  }

  private apply(): void {
    this.appliedJobs = this.freeJobs;
    for (const consumer of this.consumers) {
      const concurrency = Math.max(1, consumer.jobs + this.appliedJobs);
      if (concurrency > consumer.control.concurrency) this.raised = true;
      consumer.control.concurrency = concurrency;
    }
  }

  private async tick(): Promise<void> {
    this.limit = Math.min(this.maximum, MAX_LOCAL + this.inFlightFor(WAITING_AFTER_MS));
    this.apply();
    const isQuiet = this.changes === this.changesSeen;
    this.changesSeen = this.changes;
    if (isQuiet && this.deliveries < Math.min(this.maximum, MAX_LOCAL)) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    if (!this.raised || !isQuiet) return;
    // BullMQ's worker reads its concurrency when a job ends; while all jobs hang, this makes it read the new value.
    this.raised = false;
    for (const { control } of this.consumers) {
      await control.pause(true);
      if (!this.stopped) await control.resume();
    }
  }
}

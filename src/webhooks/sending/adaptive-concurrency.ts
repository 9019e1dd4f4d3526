import { DELIVERIES_A_TURN } from '../notifications/delivery-job';

/** Deliveries that occupy the worker itself at once: being loaded, signed or recorded. */
const AT_HAND = 192;
/** After this time in flight a request counts as waiting for its receiver, milliseconds. */
const OUT_AFTER_MS = 25;
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
  jobBegan(deliveries: number): void;
  deliveryEnded(): void;
  /** @param left its deliveries whose end was not told */
  jobEnded(left: number): void;
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
 * other. BullMQ counts jobs, of 1 to 32 deliveries each: a job is taken while there is room for one delivery, so the
 * bound may be passed by the rest of one turn.
 */
export class AdaptiveConcurrency {
  private readonly consumers = new Set<Consumer>();
  private timer: NodeJS.Timeout | undefined;
  private deliveries = 0;
  private allowed: number;
  /** How often a job began or ended. */
  private moves = 0;
  private movesSeen = 0;
  private raised = false;
  private stopped = false;

  /**
   * @param most upper bound of deliveries at once
   * @param outFor the number of requests in flight for at least this time, milliseconds
   */
  constructor(
    private readonly most: number,
    private readonly outFor: (milliseconds: number) => number,
  ) {
    this.allowed = Math.min(most, AT_HAND);
  }

  /** Decides for a worker of BullMQ from now on. */
  add(control: ConsumerControl): Consumption {
    const consumer: Consumer = { control, jobs: 0 };
    this.consumers.add(consumer);
    this.apply();
    this.raised = false;
    return {
      jobBegan: (deliveries) => this.moved(consumer, 1, deliveries),
      deliveryEnded: () => this.moved(consumer, 0, -1),
      jobEnded: (left) => this.moved(consumer, -1, -left),
      remove: () => this.consumers.delete(consumer),
    };
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
  }

  private moved(consumer: Consumer, jobs: number, deliveries: number): void {
    consumer.jobs += jobs;
    this.deliveries += deliveries;
    this.apply();
    if (jobs !== 0) {
      this.moves++;
      this.raised = false; // BullMQ's worker reads the value when a job begins or ends
    }
    if (this.deliveries >= this.allowed && !this.stopped) this.timer ??= setInterval(() => void this.tick(), TICK_MS);
  }

  /** Room for so many deliveries is room for at least so many jobs of the largest size. */
  private apply(): void {
    const jobs = Math.max(0, Math.ceil((this.allowed - this.deliveries) / DELIVERIES_A_TURN));
    for (const consumer of this.consumers) {
      const concurrency = Math.max(1, consumer.jobs + jobs);
      if (concurrency > consumer.control.concurrency) this.raised = true;
      consumer.control.concurrency = concurrency;
    }
  }

  private async tick(): Promise<void> {
    this.allowed = Math.min(this.most, AT_HAND + this.outFor(OUT_AFTER_MS));
    this.apply();
    const isQuiet = this.moves === this.movesSeen;
    this.movesSeen = this.moves;
    if (isQuiet && this.deliveries < Math.min(this.most, AT_HAND)) {
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

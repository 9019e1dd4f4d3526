import type { Config } from '../../platform/config/config';
import { queueParts } from '../../platform/queue/queue';
import { slotOf } from '../../platform/shards/tenant-shard';
import type { Turn } from '../notifications/delivery-job';
import { DeliveryQueue, type JobOfTenant } from './delivery-queue';

/**
 * The queue of turns: one, or several parts on a Redis Cluster, so that more than one master carries it. A tenant's
 * turns are all in one part.
 */
export class DividedQueue {
  private readonly parts: readonly DeliveryQueue[];

  constructor(config: Config) {
    this.parts = Array.from({ length: queueParts(config) }, (_, part) => new DeliveryQueue(config, undefined, part));
  }

  /** How long deliveries of a busy tenant are collected for its next job, milliseconds. */
  get collectMs(): number {
    return this.parts[0]?.collectMs ?? 0;
  }

  /** Closes the connections; never rejects. */
  async close(): Promise<void> {
    await Promise.all(this.parts.map((part) => part.close()));
  }

  /** Adds a job for each turn; an existing job stays as it is. @throws when a part does not accept them in time */
  async add(turns: readonly Turn[]): Promise<void> {
    await Promise.all(this.divide(turns).map(([part, own]) => part.add(own)));
  }

  /** The number of jobs by state. @throws when a part does not reply in time */
  async counts(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const counts of await Promise.all(this.parts.map((part) => part.counts()))) {
      for (const [state, count] of Object.entries(counts)) sums[state] = (sums[state] ?? 0) + count;
    }
    return sums;
  }

  /** The number of deliveries in waiting and active jobs. @throws when a part does not reply in time */
  async deliveries(): Promise<number> {
    const counts = await Promise.all(this.parts.map((part) => part.deliveries()));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The waiting and active turns, up to a maximum in each part. @throws when a part does not reply in time */
  async turns(limit: number): Promise<Turn[]> {
    return (await Promise.all(this.parts.map((part) => part.turns(limit)))).flat();
  }

  /** The ids of those jobs that the queue no longer has. @throws when a part does not reply in time */
  async missing(jobs: readonly JobOfTenant[]): Promise<string[]> {
    return (await Promise.all(this.divide(jobs).map(([part, own]) => part.missing(own)))).flat();
  }

  private divide<J extends JobOfTenant>(jobs: readonly J[]): [DeliveryQueue, readonly J[]][] {
    const [only] = this.parts;
    if (only && this.parts.length === 1) return [[only, jobs]];
    return this.parts.flatMap((part, index) => {
      const own = jobs.filter(({ tenantId }) => slotOf(tenantId) % this.parts.length === index);
      return own.length > 0 ? [[part, own] as [DeliveryQueue, readonly J[]]] : [];
    });
  }
}

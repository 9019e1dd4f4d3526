import { Readable } from 'node:stream';
import { RateLimited } from '../../errors';

/** Bytes that a stream holds before it waits for its reader. */
const HELD_BYTES = 64 * 1024;
/** A reader that leaves a chunk untaken for so long gives way to a tenant that finds no slot. */
const SLOW_READER_MS = 2_000;
const RETRY_SECONDS = 5;

interface RunningExport {
  tenantId: string;
  stream?: Readable;
  /** Since when the export waits for its reader, by `performance.now()`; undefined while it reads rows. */
  waitingSince?: number;
}

/**
 * Bounds the exports that run at once in a process and for one tenant. If all slots are in use, the export with the
 * slowest reader is aborted for the next one: exports that are opened and not read block no tenant.
 */
export class ExportSlots {
  private readonly running = new Set<RunningExport>();

  constructor(
    private readonly max: number,
    private readonly maxPerTenant: number,
  ) {}

  /** How many run. */
  get size(): number {
    return this.running.size;
  }

  /**
   * The chunks as a byte stream, each taken once its reader has room for it. @throws RateLimited while too many run
   */
  stream(tenantId: string, chunks: AsyncIterable<string>): Readable {
    if (this.countOf(tenantId) >= this.maxPerTenant || (this.running.size >= this.max && !this.freeOne())) {
      throw new RateLimited('Too many exports at once; try again.', RETRY_SECONDS);
    }
    const running: RunningExport = { tenantId };
    this.running.add(running);
    const stream = Readable.from(noteWaiting(running, chunks), { objectMode: false, highWaterMark: HELD_BYTES });
    running.stream = stream;
    stream.once('close', () => this.running.delete(running));
    return stream;
  }

  private countOf(tenantId: string): number {
    let count = 0;
    for (const running of this.running) if (running.tenantId === tenantId) count++;
    return count;
  }

  /** Breaks off the export with the slowest reader, of a tenant with most of them first; false without a slow one. */
  private freeOne(): boolean {
    const before = performance.now() - SLOW_READER_MS;
    let slowest: { running: RunningExport; since: number; ofTenant: number } | undefined;
    for (const running of this.running) {
      const since = running.waitingSince ?? Infinity;
      if (since > before) continue;
      const ofTenant = this.countOf(running.tenantId);
      if (!slowest || ofTenant > slowest.ofTenant || (ofTenant === slowest.ofTenant && since < slowest.since)) {
        slowest = { running, since, ofTenant };
      }
    }
    if (!slowest) return false;
    this.running.delete(slowest.running);
    slowest.running.stream?.destroy(new Error('the export gave way to another: its reader was too slow'));
    return true;
  }
}

async function* noteWaiting(running: RunningExport, chunks: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const chunk of chunks) {
    running.waitingSince = performance.now();
    yield chunk;
    running.waitingSince = undefined;
  }
}

import { Pool } from 'pg';
import { databaseClock } from '../database/database-clock';
import { createBackend, PRESENT_IN } from './postgres-backend';

const AHEAD_MS = 3_600_000;

/** The calls by which BullMQ runs the statements, with arguments that reach them. */
interface Calls {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
  run(statement: string, values: unknown[]): unknown;
  moveToActive(token: string): Promise<unknown>;
  moveToCompleted(job: object, value: unknown, remove: boolean, token: string, fetchNext: boolean): Promise<unknown>;
  moveToFailed(job: object, reason: string, remove: boolean, token: string, fetchNext: boolean): Promise<unknown>;
  extendLock(id: string, token: string, duration: number): Promise<unknown>;
  extendLocks(ids: string[], tokens: string[], duration: number): Promise<unknown>;
  moveStalledJobsToWait(): Promise<unknown>;
}

describe('BullMQ on PostgreSQL', () => {
  it('gets the time of the database where it compares times, and its own time elsewhere', async () => {
    const now = performance.now();
    databaseClock.observe(Date.now() + AHEAD_MS, now, now);
    const pool = new Pool({ connectionString: 'postgres://127.0.0.1:1/none' });
    const backend = createBackend('queue', { connection: pool } as never) as unknown as Calls;
    const sent: unknown[][] = [];
    backend.query = (_, values) => {
      sent.push(values);
      return Promise.resolve({ rows: [] });
    };
    const job = { id: 'id' };
    const calls: [string, () => Promise<unknown>][] = [
      ['move_to_active', () => backend.moveToActive('token')],
      ['move_to_completed_fetch', () => backend.moveToCompleted(job, null, true, 'token', true)],
      ['move_to_failed_fetch', () => backend.moveToFailed(job, 'reason', true, 'token', true)],
      ['extend_lock', () => backend.extendLock('id', 'token', 1)],
      ['extend_locks', () => backend.extendLocks(['id'], ['token'], 1)],
      ['move_stalled_jobs_to_wait', () => backend.moveStalledJobsToWait()],
    ];
    try {
      expect(calls.map(([statement]) => statement)).toEqual(Object.keys(PRESENT_IN));
      for (const [statement, call] of calls) {
        sent.length = 0;
        // The stand-in has no row to give.
        await call().catch(() => undefined);
        const values = sent[0] ?? [];
        const times = values.filter((value) => typeof value === 'number' && value > AHEAD_MS * 1_000) as number[];
        const ahead = times.filter((time) => time > Date.now() + AHEAD_MS / 2);
        expect([statement, ahead, values.indexOf(ahead[0])]).toEqual([
          statement,
          [expect.any(Number)],
          PRESENT_IN[statement],
        ]);
      }
    } finally {
      await pool.end();
      databaseClock.observe(Date.now(), performance.now(), performance.now());
    }
  });
});

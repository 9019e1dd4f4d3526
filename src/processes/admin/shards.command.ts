import { OperatorDatabase } from '../../platform/database/roles/operator-database';
import { changeCount, recordedCount, type RecordedRow } from '../../webhooks/dispatch/shards/shard-count.queries';
import { type Command, readInteger } from './command';

const MOST_SHARDS = 256;

export const setCommand: Command = {
  summary: 'Changes the number of shards among which webhook workers divide the tenants',
  description: `Stop all workers, run this command, then start them with the new WEBHOOK_SHARDS. Ends with 1 while a worker runs, and changes
nothing then. No delivery is lost: the workers read all state from the database when they start.`,
  arguments: '<count>',
  async run({ positionals: [text = ''], dryRun, open }) {
    const count = readInteger('<count>', text, 1, MOST_SHARDS);
    const database = (await open()).get(OperatorDatabase, { strict: false });
    const [recorded] = await database.query<RecordedRow>(recordedCount());
    const before = recorded?.count ?? null;
    const data = { before, count };
    const from = before === null ? '' : ` from ${before}`;
    if (dryRun) return { lines: [`would change the number of shards${from} to ${count}`], data };
    const changed = await database.query(changeCount(count));
    if (changed.length > 0) return { lines: [`changed the number of shards${from} to ${count}`], data };
    return {
      lines: ['a worker is running: stop all workers first'],
      data: { before, count: before },
      failed: true,
    };
  },
};

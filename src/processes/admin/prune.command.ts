import { RetentionJob } from '../../retention/retention-job';
import type { Command } from './command';

export const pruneCommand: Command = {
  summary: 'Deletes expired rows now, which the elected leader deletes each minute',
  description: `Expired rows are sessions, stored responses, counters of failed sign-ins and the like, and events with their deliveries
and attempts that are older than WEBHOOK_RETENTION_DAYS. Works in small batches, beside running processes, until none is
left.`,
  async run({ dryRun, open }) {
    const janitor = (await open()).get(RetentionJob, { strict: false });
    const pruned = dryRun ? await janitor.count() : await janitor.prune();
    return {
      lines: Object.entries(pruned).map(([table, count]) => `${dryRun ? 'would delete' : 'deleted'} ${count} ${table}`),
      data: pruned,
    };
  },
};

import { RetentionJob } from '../../retention/retention-job';
import type { Command } from './command';

export const pruneCommand: Command = {
  usage: '',
  help: `Deletes now what the leading worker deletes each minute: sessions, stored answers and counters of failed sign-ins that have
expired, and events with their deliveries and attempts that are older than WEBHOOK_RETENTION_DAYS. In small batches,
beside running processes, until nothing is left.`,
  async run({ dryRun, open }) {
    const janitor = (await open()).get(RetentionJob, { strict: false });
    const pruned = dryRun ? await janitor.count() : await janitor.prune();
    return {
      lines: Object.entries(pruned).map(([table, count]) => `${dryRun ? 'would delete' : 'deleted'} ${count} ${table}`),
      data: pruned,
    };
  },
};

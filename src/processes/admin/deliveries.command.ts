import type { TenantScope } from '../../platform/database/tenant-database';
import { AppError } from '../../platform/errors';
import { UsageError } from '../lifecycle';
import { DeliveriesService } from '../../webhooks/deliveries/deliveries.service';
import { Recovery } from '../../webhooks/deliveries/recovery';
import { type Command, type Invocation, readId, readTime, type Report } from './command';

export const retryCommand: Command = {
  summary: 'Sends a delivery again now, also after a success',
  description: 'It goes before others, with a new schedule of retries.',
  arguments: '<delivery>',
  requiredOptions: { '--tenant <id>': 'the tenant of the delivery' },
  async run({ values, positionals, dryRun, open }) {
    const scope = { tenantId: readId('--tenant', values.tenant) };
    const id = readId('the delivery', positionals[0]);
    const deliveries = (await open()).get(DeliveriesService, { strict: false });
    if (dryRun) {
      const { status, endpoint_id } = await deliveries.findToRetry(scope, id);
      return {
        lines: [`would send ${id} (${status}) again to endpoint ${endpoint_id}`],
        data: { id, status, endpoint_id },
      };
    }
    const { status, endpoint_id } = await deliveries.sendAgain(scope, id);
    return { lines: [`${id} is due now, to endpoint ${endpoint_id}`], data: { id, status, endpoint_id } };
  },
};

export const replayCommand: Command = {
  summary: "Sends again the deliveries that a tenant's endpoints missed",
  description: 'Takes --event, or --endpoint with --since.',
  requiredOptions: { '--tenant <id>': 'the tenant of the endpoints' },
  options: {
    '--event <id>': 'every delivery of this event, to each endpoint, also after a success',
    '--endpoint <id>': 'every delivery to this endpoint that failed, or was not sent because the endpoint was disabled',
    '--since <time>': 'of events from this time on (2026-01-31T12:00:00Z, or a day)',
    '--until <time>': 'and before this time (now)',
  },
  async run(invocation) {
    const { values } = invocation;
    const scope = { tenantId: readId('--tenant', values.tenant) };
    if ((values.event === undefined) === (values.endpoint === undefined)) {
      throw new UsageError('say either --event or --endpoint');
    }
    if (values.endpoint !== undefined) return replayEndpoint(invocation, scope);
    if (values.since !== undefined || values.until !== undefined) {
      throw new UsageError('--since and --until go with --endpoint');
    }
    return replayEvent(invocation, scope);
  },
};

async function replayEndpoint({ values, dryRun, open }: Invocation, scope: TenantScope): Promise<Report> {
  const endpoint = readId('--endpoint', values.endpoint);
  const since = readTime('--since', values.since);
  const until = values.until === undefined ? new Date() : readTime('--until', values.until);
  if (until <= since) throw new UsageError('--until must be later than --since');
  const recovery = (await open()).get(Recovery, { strict: false });
  const period = { since, until };
  const count = dryRun
    ? await recovery.count(scope, endpoint, period)
    : await recovery.recover(scope, endpoint, period);
  return {
    lines: [dryRun ? `would send ${count} deliveries again` : `${count} deliveries are due now`],
    data: { endpoint_id: endpoint, since: since.toISOString(), until: until.toISOString(), count },
  };
}

/** Each separately: one with a removed endpoint does not affect the others. */
async function replayEvent({ values, dryRun, open }: Invocation, scope: TenantScope): Promise<Report> {
  const event = readId('--event', values.event);
  const service = (await open()).get(DeliveriesService, { strict: false });
  const deliveries = [];
  for (const { id, endpoint_id } of await service.listOfEvent(scope, event)) {
    try {
      await (dryRun ? service.findToRetry(scope, id) : service.sendAgain(scope, id));
      deliveries.push({ id, endpoint_id, sent_again: !dryRun });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
      deliveries.push({ id, endpoint_id, sent_again: false, refused: error.publicMessage });
    }
  }
  return {
    lines: deliveries.map(({ id, endpoint_id, refused }) => {
      if (refused) return `${id}: not sent again: ${refused}`;
      return dryRun
        ? `would send ${id} again to endpoint ${endpoint_id}`
        : `${id} is due now, to endpoint ${endpoint_id}`;
    }),
    data: { event_id: event, deliveries },
    failed: deliveries.some(({ refused }) => refused !== undefined),
  };
}

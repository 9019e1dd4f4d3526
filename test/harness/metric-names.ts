import type { schema } from '../../src/platform/config/schema';

/** A metric of the service, and the condition under which it exists. */
export interface KnownMetric {
  type: 'counter' | 'gauge' | 'histogram';
  labels: string[];
  needs?: keyof typeof schema;
}

/**
 * Every metric that rules and dashboards may name, with its own labels; a test holds the list against a real scrape.
 */
export const METRICS: Readonly<Record<string, KnownMetric>> = {
  app_build_info: { type: 'gauge', labels: ['version', 'role'] },
  migrations_pending: { type: 'gauge', labels: [] },
  clock_ahead_seconds: { type: 'gauge', labels: [] },
  dependency_up: { type: 'gauge', labels: ['dependency'] },
  http_request_duration_seconds: { type: 'histogram', labels: ['method', 'route', 'status'] },
  http_requests_in_flight: { type: 'gauge', labels: [] },
  http_requests_queued: { type: 'gauge', labels: [] },
  http_requests_shed_total: { type: 'counter', labels: ['reason'] },
  security_events_total: { type: 'counter', labels: ['action', 'outcome'] },
  db_pool_connections: { type: 'gauge', labels: ['pool', 'state'] },
  db_pool_waiting: { type: 'gauge', labels: ['pool'] },
  db_pool_wait_seconds: { type: 'histogram', labels: ['pool'] },
  db_replica_reads_total: { type: 'counter', labels: ['served_by'], needs: 'DATABASE_REPLICA_URL' },
  outbox_lag_seconds: { type: 'gauge', labels: [] },
  webhook_due_deliveries: { type: 'gauge', labels: [] },
  webhook_oldest_due_seconds: { type: 'gauge', labels: [] },
  mails_total: { type: 'counter', labels: ['outcome'] },
  queue_jobs: { type: 'gauge', labels: ['queue', 'state'] },
  webhook_deliveries_total: { type: 'counter', labels: ['outcome'] },
  webhook_attempt_duration_seconds: { type: 'histogram', labels: ['result'] },
  webhook_breakers: { type: 'gauge', labels: ['state'] },
  webhook_leader: { type: 'gauge', labels: [] },
  webhook_shards: { type: 'gauge', labels: [] },
  webhook_shards_owned: { type: 'gauge', labels: [] },
  // prom-client's own
  nodejs_eventloop_lag_p99_seconds: { type: 'gauge', labels: [] },
  nodejs_gc_duration_seconds: { type: 'histogram', labels: ['kind'] },
  nodejs_heap_size_used_bytes: { type: 'gauge', labels: [] },
  process_cpu_seconds_total: { type: 'counter', labels: [] },
  process_resident_memory_bytes: { type: 'gauge', labels: [] },
  process_start_time_seconds: { type: 'gauge', labels: [] },
};

/** The labels that Prometheus itself adds. */
const OF_PROMETHEUS: Readonly<Record<string, string[]>> = { up: [] };
/** Labels of a target, from the configurations in deploy/prometheus. */
const OF_TARGETS = ['job', 'instance', 'role', 'namespace', 'pod'];

const KEYWORDS = new Set([
  'and',
  'or',
  'unless',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'bool',
]);

/**
 * The faults in the names of a PromQL expression: a metric that no process has, a label that the metric does not have.
 * @param recorded names that recording rules make
 */
export function nameFaults(expression: string, recorded: readonly string[] = []): string[] {
  const faults: string[] = [];
  const bare = expression.replace(/"(?:[^"\\]|\\.)*"/g, '""').replace(/\[[^\]]*\]/g, '');
  const labelsInUse = new Set<string>(OF_TARGETS);
  const pattern = /([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?/g;
  const withoutLists = bare.replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
  for (const [, name = '', after = ''] of withoutLists.replace(/\b\d[\w.]*/g, '0').matchAll(pattern)) {
    if (after === '(' || KEYWORDS.has(name) || recorded.includes(name)) continue;
    const labels = labelsOf(name);
    if (!labels) {
      faults.push(`no process has the metric ${name}`);
      continue;
    }
    for (const label of labels) labelsInUse.add(label);
    for (const [, label = ''] of after.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g)) {
      if (!labels.includes(label) && !OF_TARGETS.includes(label)) faults.push(`${name} has no label ${label}`);
    }
  }
  for (const [, , list = ''] of bare.matchAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g)) {
    for (const label of list.split(',').map((text) => text.trim())) {
      if (label !== '' && !labelsInUse.has(label)) faults.push(`nothing here has the label ${label}`);
    }
  }
  return faults;
}

function labelsOf(name: string): string[] | undefined {
  if (OF_PROMETHEUS[name]) return OF_PROMETHEUS[name];
  const plain = METRICS[name];
  if (plain) return plain.type === 'histogram' ? undefined : plain.labels;
  const [, base = '', suffix] = /^(.*)_(bucket|count|sum)$/.exec(name) ?? [];
  const histogram = METRICS[base];
  if (histogram?.type !== 'histogram') return undefined;
  return suffix === 'bucket' ? [...histogram.labels, 'le'] : histogram.labels;
}

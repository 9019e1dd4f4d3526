import { Histogram, Registry } from 'prom-client';
import { SeriesHistogram } from './histogram';

const BUCKETS = [0.001, 0.0025, 0.5, 1, 10];
const NAME = { name: 'waits_seconds', help: 'How long it took.' };

describe('SeriesHistogram', () => {
  const values = [0, 0.001, 0.0011, 0.0025, 0.3, 0.5, 0.75, 1, 9.99, 10, 10.01, 1e6];

  it('has the same output as the histogram of prom-client', async () => {
    const [theirs, ours] = [new Registry(), new Registry()];
    const known = new Histogram({
      ...NAME,
      labelNames: ['pool', 'status'],
      buckets: [...BUCKETS],
      registers: [theirs],
    });
    const histogram = new SeriesHistogram<'pool' | 'status'>({ ...NAME, buckets: BUCKETS, registers: [ours] });
    for (const labels of [
      { pool: 'read', status: '200' },
      { pool: 'wr"ite', status: '503' },
    ]) {
      const observe = histogram.observer(labels);
      for (const value of values) {
        known.labels(labels).observe(value);
        observe(value);
      }
    }
    known.zero({ pool: 'idle', status: '0' });
    histogram.observer({ pool: 'idle', status: '0' });
    expect(await ours.metrics()).toBe(await theirs.metrics());
    ours.resetMetrics();
    expect(await ours.metrics()).toContain('waits_seconds_count{pool="read",status="200"} 0');
  });

  it('has one series for two observers with equal labels', async () => {
    const registry = new Registry();
    const histogram = new SeriesHistogram<'pool' | 'status'>({ ...NAME, buckets: BUCKETS, registers: [registry] });
    histogram.observer({ pool: 'read', status: '200' })(1);
    histogram.observer({ status: '200', pool: 'read' })(1);
    const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('waits_seconds_count'));
    expect(lines).toEqual(['waits_seconds_count{pool="read",status="200"} 2']);
  });
});

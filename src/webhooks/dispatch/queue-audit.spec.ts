import type { Turn } from '../notifications/delivery-job';
import { EndpointQueue } from './endpoint-queue';
import { QueueAudit } from './queue-audit';

const NOW = 1_000_000;
const LATER = NOW + 2_001;

describe('the audit of the queue', () => {
  let missing: string[];
  let asked: string[][];
  let leftInQueue: Turn[];
  let audit: QueueAudit;
  const endpoint = new EndpointQueue('tenant', 'endpoint');

  const queue = {
    missing: async (jobs: readonly { id: string }[]) => {
      const ids = jobs.map(({ id }) => id);
      asked.push([...ids]);
      return missing.filter((id) => ids.includes(id));
    },
    turns: async () => leftInQueue,
  };
  const turnOf = (id: string, ...deliveryIds: string[]) => ({
    id,
    tenantId: 'tenant',
    deliveries: deliveryIds.map((deliveryId) => ({ deliveryId, attempt: 1, endpoint })),
  });

  beforeEach(() => {
    missing = [];
    asked = [];
    leftInQueue = [];
    audit = new QueueAudit(queue);
  });

  it('checks a job after an interval, and again only after another one', async () => {
    audit.trackAdding([turnOf('one', 'a')]);
    audit.markAdded([turnOf('one', 'a')], NOW);
    await audit.check(NOW + 1_999);
    expect(asked).toEqual([]);
    await audit.check(LATER);
    await audit.check(LATER + 1);
    expect(asked).toEqual([['one']]);
  });

  it('does not report an unconfirmed job as missing', async () => {
    missing = ['one'];
    audit.trackAdding([turnOf('one', 'a')]);
    expect(await audit.check(LATER)).toEqual({ deliveries: [], leftovers: false });
    expect(asked).toEqual([]);
  });

  it('returns the deliveries without an outcome of a lost job, once', async () => {
    missing = ['one'];
    const turn = turnOf('one', 'a', 'b', 'c');
    audit.trackAdding([turn]);
    audit.markAdded([turn], NOW);
    audit.complete('b', 1);
    const lost = await audit.check(LATER);
    expect(lost.deliveries.map(({ deliveryId }) => deliveryId)).toEqual(['a', 'c']);
    expect(await audit.check(LATER + 5_000)).toEqual({ deliveries: [], leftovers: false });
  });

  it('drops a job with its last outcome, and ignores the end of another attempt', async () => {
    const turn = turnOf('one', 'a', 'b');
    audit.trackAdding([turn]);
    audit.markAdded([turn], NOW);
    audit.complete('a', 1);
    audit.complete('b', 2);
    await audit.check(LATER);
    expect(asked).toEqual([['one']]);
    audit.complete('b');
    await audit.check(LATER + 5_000);
    expect(asked).toHaveLength(1);
  });

  it('blocks the deliveries of leftover jobs until they end or are lost', async () => {
    leftInQueue = [turnOf('old', 'a', 'b'), turnOf('older', 'c')].map((turn) => ({
      ...turn,
      deliveries: turn.deliveries.map(({ deliveryId, attempt }) => ({ deliveryId, attempt })),
    }));
    await audit.readLeftovers(NOW, () => true);
    expect([audit.leftovers, audit.isLeftover('a'), audit.isLeftover('x')]).toEqual([3, true, false]);
    audit.complete('a', 1);
    expect([audit.leftovers, audit.isLeftover('a')]).toEqual([2, false]);
    missing = ['older'];
    expect(await audit.check(LATER)).toEqual({ deliveries: [], leftovers: true });
    expect([audit.leftovers, audit.isLeftover('b'), audit.isLeftover('c')]).toEqual([1, true, false]);
  });

  it('checks each job in its own queue', async () => {
    const before: Turn = { id: 'before', tenantId: 'tenant', deliveries: [{ deliveryId: 'z', attempt: 1 }] };
    const previous = { missing: async () => ['before'], turns: async () => [before] };
    audit = new QueueAudit(queue, previous);
    await audit.readLeftovers(NOW, () => true);
    expect(audit.isLeftover('z')).toBe(true);
    audit.trackAdding([turnOf('one', 'a')]);
    audit.markAdded([turnOf('one', 'a')], NOW);
    await audit.check(LATER);
    expect(asked).toEqual([['one']]);
    expect(audit.isLeftover('z')).toBe(false);
  });

  it('ignores the jobs of other tenants, and known ones', async () => {
    audit.trackAdding([turnOf('one', 'a')]);
    audit.markAdded([turnOf('one', 'a')], NOW);
    leftInQueue = [
      turnOf('one', 'a'),
      { ...turnOf('two', 'b'), tenantId: 'other' },
      { ...turnOf('three', 'c'), tenantId: 'gained', deliveries: [{ deliveryId: 'c', attempt: 1 }] },
    ];
    await audit.readLeftovers(NOW, (tenantId) => tenantId !== 'other');
    expect(audit.leftovers).toBe(1);
    expect(['a', 'b', 'c'].map((id) => audit.isLeftover(id))).toEqual([false, false, true]);
  });

  it('drops the jobs of a tenant that another process dispatches', async () => {
    audit.trackAdding([turnOf('one', 'a', 'b')]);
    audit.markAdded([turnOf('one', 'a', 'b')], NOW);
    missing = ['one'];
    audit.release((tenantId) => tenantId !== 'tenant');
    expect(await audit.check(LATER)).toEqual({ deliveries: [], leftovers: false });
    expect(asked).toEqual([]);
  });
});

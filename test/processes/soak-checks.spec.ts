import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/** Runs an expression over the exports of the soak's checks and kills; `data` is the parsed input. */
function evaluate(expression: string, data: unknown): unknown {
  const program = `
    import { readFileSync } from 'node:fs';
    import * as checks from './bench/soak-checks.mjs';
    import * as kills from './bench/soak-kills.mjs';
    const data = JSON.parse(readFileSync(0, 'utf8'));
    const byId = (list) => new Map(list.map((each) => [each.id, each]));
    console.log(JSON.stringify(${expression}));`;
  const options = { cwd: ROOT, encoding: 'utf8', input: JSON.stringify(data) } as const;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], options));
}

const endpoint = { id: 'p', tenantId: 't', path: '/0/slow', types: ['order.*'], ordered: true };
const event = (sequence: number) => ({
  id: `e${sequence}`,
  tenantId: 't',
  type: 'order.updated',
  aggregateId: 'a',
  sequence,
  eventId: null,
});
const arrival = (eventId: string, at: number, status = 204, deliveryId = `d-${eventId}`) => ({
  deliveryId,
  eventId,
  type: 'order.updated',
  dataId: 'a',
  path: '/0/slow',
  at,
  status,
});

describe('the soak detects', () => {
  it('a delivery that arrives after its success was recorded, and no earlier repetition', () => {
    const arrivals = [arrival('e1', 10), arrival('e1', 20), arrival('e2', 10), arrival('e2', 40), arrival('e3', 10)];
    const recorded = [
      ['d-e1', 25],
      ['d-e2', 25],
      ['d-e3', 5],
    ];
    const found = evaluate('checks.deliveredAgain(checks.byDelivery(data.arrivals), new Map(data.recorded))', {
      arrivals,
      recorded,
    });
    expect(found).toEqual([{ deliveryId: 'd-e2', recordedAt: 25, laterBy: [15] }]);
  });

  it('no repetition while PostgreSQL was frozen in the commit of the success', () => {
    const arrivals = [arrival('e1', 100), arrival('e1', 300), arrival('e1', 900)];
    const data = { arrivals, recorded: [['d-e1', 120]], frozen: [{ from: 150, to: 800 }] };
    const expression = 'checks.deliveredAgain(checks.byDelivery(data.arrivals), new Map(data.recorded), data.frozen)';
    expect(evaluate(expression, data)).toEqual([{ deliveryId: 'd-e1', recordedAt: 800, laterBy: [100] }]);
  });

  it('an event that overtakes an earlier one of its order, which has arrived but has not been taken', () => {
    const call = 'checks.outOfOrder(data.arrivals, byId(data.events), data.endpoints)';
    const data = { events: [event(1), event(2)], endpoints: [endpoint] };
    const kept = [arrival('e1', 10, 500), arrival('e1', 20), arrival('e2', 30), arrival('e1', 40)];
    expect(evaluate(call, { ...data, arrivals: kept })).toEqual({ faults: [], pairs: 1 });
    const broken = [arrival('e1', 10, 500), arrival('e2', 15), arrival('e1', 20)];
    expect(evaluate(call, { ...data, arrivals: broken })).toMatchObject({ pairs: 1, faults: [{ deliveryId: 'd-e2' }] });
  });

  it('a committed event without a success, and an arrival of no committed event', () => {
    const call = 'checks.lostAndInvented(data.arrivals, byId(data.events), data.endpoints)';
    const arrivals = [arrival('e1', 10), arrival('e2', 10, 500), arrival('e9', 10)];
    expect(evaluate(call, { arrivals, events: [event(1), event(2)], endpoints: [endpoint] })).toEqual({
      expected: 2,
      lost: [{ eventId: 'e2', endpointId: 'p', type: 'order.updated' }],
      invented: [{ deliveryId: 'd-e9', eventId: 'e9' }],
    });
  });

  it('orders and events that differ from what was acknowledged', () => {
    const call = `checks.comparedWithLedger(
      { creates: new Map(data.creates), orders: byId(data.acknowledged), events: new Map(data.emitted) },
      data.orders, data.events).map(({ what }) => what)`;
    const right = {
      creates: [
        ['m1', { id: 'o1', repeated: false }],
        ['m2', { repeated: false }],
        ['m3', { id: 'o3', repeated: true, batch: ['m3'] }],
      ],
      acknowledged: [{ id: 'o1', version: 1, unanswered: 1 }],
      emitted: [['own', {}]],
      orders: [
        { id: 'o1', marker: 'm1', version: 2, events: 2, last: 2 },
        { id: 'o3', marker: 'm3', version: 1, events: 1, last: 1 },
      ],
      events: [{ eventId: 'own' }, { eventId: null }],
    };
    expect(evaluate(call, right)).toEqual([]);
    const twice = { id: 'o4', marker: 'm3', version: 1, events: 1, last: 1 };
    expect(evaluate(call, { ...right, orders: [...right.orders, twice] })).toContain('one request made two orders');
    expect(evaluate(call, { ...right, orders: right.orders.slice(1) })).toContain('an acknowledged order is lost');
    const old = { id: 'o1', marker: 'm1', version: 3, events: 2, last: 2 };
    expect(evaluate(call, { ...right, orders: [old, ...right.orders.slice(1)] })).toEqual([
      'an acknowledged change is lost, or one was not asked for',
      'versions without events',
    ]);
    expect(evaluate(call, { ...right, events: [] })).toEqual(['a custom event is not there once']);
  });
});

it('the soak repeats its choice of kills with its seed', () => {
  const steps = (seed: number) =>
    evaluate('[...Array(50)].map(((pick) => () => kills.nextStep(pick, 1000))(kills.pickFrom(data.seed)))', { seed });
  expect(steps(7)).toEqual(steps(7));
  expect(steps(7)).not.toEqual(steps(8));
});

import { deliveriesOf, formatTurn, newTurn, parseTurn } from './delivery-job';
import { parseEnds } from './attempt-ended';

describe('the job of a turn', () => {
  it('survives formatting and parsing', () => {
    const turn = newTurn('tenant', [
      { deliveryId: 'first', attempt: 1 },
      { deliveryId: 'second', attempt: 3 },
    ]);
    const data = JSON.parse(JSON.stringify(formatTurn(turn)));
    expect(parseTurn(turn.id, data)).toEqual(turn);
    expect(deliveriesOf(turn.id)).toBe(2);
  });

  it('contains only ids', () => {
    const delivery = { deliveryId: 'first', attempt: 1, endpoint: { secret: 'whsec_' } };
    expect(formatTurn(newTurn('tenant', [delivery]))).toEqual({ tenantId: 'tenant', deliveries: [['first', 1]] });
  });

  it('has its own id each time', () => {
    expect(newTurn('tenant', []).id).not.toBe(newTurn('tenant', []).id);
  });

  it.each(['17', 'by-hand', 'x-', 'x-0', 'x-99', '0192f0c0-0000-7000-8000-000000000001'])(
    'counts one delivery in a job with the foreign id %s',
    (id) => {
      expect(deliveriesOf(id)).toBe(1);
    },
  );

  it('is read from a job of release 0.1.0', () => {
    expect(parseTurn('d-2', { tenantId: 'tenant', deliveryId: 'd', attempt: 2 })).toEqual({
      id: 'd-2',
      tenantId: 'tenant',
      deliveries: [{ deliveryId: 'd', attempt: 2 }],
    });
  });

  it.each([undefined, {}, { tenantId: 'tenant' }, { deliveries: [] }])('is not made of %j', (data) => {
    expect(parseTurn('id', data as never)).toBeUndefined();
  });
});

describe('the ends of attempts', () => {
  it('are read from a worker of release 0.1.0, which does not name the attempt', () => {
    const message = JSON.stringify(['tenant', ['endpoint', 'delivery', 1, 0, 12]]);
    expect(parseEnds(message)).toEqual([
      { tenantId: 'tenant', endpointId: 'endpoint', deliveryId: 'delivery', ok: true, durationMs: 12 },
    ]);
  });
});

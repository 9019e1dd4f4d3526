import { canTransition, ORDER_STATUSES } from './order-status';

const ALLOWED = new Set([
  'pending confirmed',
  'pending cancelled',
  'confirmed processing',
  'confirmed cancelled',
  'processing completed',
  'processing cancelled',
]);

describe('canTransition', () => {
  for (const from of ORDER_STATUSES) {
    for (const to of ORDER_STATUSES) {
      const allowed = ALLOWED.has(`${from} ${to}`);
      it(`${allowed ? 'lets' : 'does not let'} an order go from ${from} to ${to}`, () => {
        expect(canTransition(from, to)).toBe(allowed);
      });
    }
  }
});

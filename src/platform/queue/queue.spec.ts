import type { Config } from '../config/config';
import { workerOptions } from './queue';

describe('the options of a queue’s worker', () => {
  it('let it go on within a second once a lost queue is back, where BullMQ waits for 15', () => {
    const options = workerOptions({ REDIS_URL: 'redis://127.0.0.1:1' } as Config, 1);
    expect(options.runRetryDelay).toBeLessThanOrEqual(1_000);
  });
});

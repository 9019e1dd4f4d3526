import { deliveryId } from './delivery-id';

const EVENT = '0198c0de-7a11-7123-8456-000000000001';
const ENDPOINT = '0198c0de-7a11-7000-8000-000000000002';

describe('deliveryId', () => {
  it('is a UUIDv7 with the event’s time, the same each time', () => {
    const id = deliveryId(EVENT, ENDPOINT);
    expect(id).toMatch(/^0198c0de-7a11-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(deliveryId(EVENT, ENDPOINT)).toBe(id);
  });

  it('differs by event and by endpoint', () => {
    expect(deliveryId(EVENT, ENDPOINT)).not.toBe(deliveryId(ENDPOINT, EVENT));
    expect(deliveryId(EVENT, EVENT)).not.toBe(deliveryId(EVENT, ENDPOINT));
  });
});

/** The event: an order of three items, as the API shows it. The receiver identifies an event by `data.id`. */

const items = [0, 1, 2].map((i) => ({
  id: `0192f0c0-0000-7000-8000-00000000000${i}`,
  product_id: `prod-${417 + i}`,
  product_name: `Product number ${417 + i}`,
  quantity: 1 + i,
  unit_price: '129.90',
}));

/** The resource's JSON behind `{"id":"<id>"`. */
export const REST_OF_DATA = JSON.stringify({
  customer_id: '0192f0c0-0000-7000-8000-0000000000ff',
  status: 'pending',
  total_amount: '779.40',
  currency: 'USD',
  notes: 'Leave at the door',
  metadata: { channel: 'web' },
  items,
  version: 1,
  created_at: '2026-11-01T12:00:00.000Z',
  updated_at: '2026-11-01T12:00:00.000Z',
}).slice(1);

export const EVENT_TYPE = 'order.created';

/** The body of a webhook, as the service writes it. */
export function bodyOf(id, at) {
  return `{"id":"${id}","type":"${EVENT_TYPE}","timestamp":"${new Date(at).toISOString()}","data":{"id":"${id}",${REST_OF_DATA}}`;
}

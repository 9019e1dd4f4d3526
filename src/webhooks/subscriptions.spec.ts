import { isSubscribed } from './subscriptions';

describe('isSubscribed', () => {
  it.each([
    [['*'], 'order.created', true],
    [['*'], 'webhook.endpoint.disabled', true],
    [['*'], 'webhook.test', false],
    [['webhook.test'], 'webhook.test', false],
    [['order.*'], 'order.created', true],
    [['order.*'], 'orders.created', false],
    [['order.*'], 'order', false],
    [['order.created', 'order.updated'], 'order.updated', true],
    [['order.created'], 'order.cancelled', false],
    [[], 'order.created', false],
  ])('%j and %s: %s', (patterns, type, expected) => {
    expect(isSubscribed(patterns, type)).toBe(expected);
  });
});

import type { EventType } from '../platform/outbox/event-catalogue';
import { OrderView } from './orders.views';
import type { OrderStatus } from './order-status';

/** The events of orders, emitted by `orders.service.ts`. `data` is the order as the API shows it at that moment. */
export const ORDER_EVENT_TYPES: readonly EventType[] = [
  { name: 'order.created', description: 'An order was created.', data: OrderView },
  {
    name: 'order.updated',
    description: "An order's notes or metadata were changed. Changes of status have events of their own.",
    data: OrderView,
    example: { version: 2 },
  },
  moved('confirmed', 'An order was confirmed.'),
  moved('processing', 'Work on an order has begun.'),
  moved('completed', 'An order was completed.'),
  moved('cancelled', 'An order was cancelled.'),
];

function moved(status: OrderStatus, description: string): EventType {
  return { name: `order.${status}`, description, data: OrderView, example: { status, version: 2 } };
}

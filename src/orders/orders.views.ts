import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { CREATED_AT_DOC, UPDATED_AT_DOC, VERSION_DOC, pageOf } from '../platform/http/responses/view-docs';
import type { Order } from './order.entity';
import type { OrderItem } from './order-item.entity';
import { ORDER_STATUSES, type OrderStatus } from './order-status';

export const ORDER_ID = '0198c0de-7a11-7000-8000-000000000001';
export const CUSTOMER_ID = '3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c';
const ITEM_ID = '0198c0de-7a11-7000-8000-000000000011';
const EVENT_ID = '0198c0de-7a11-7000-8000-000000000021';
const USER_ID = '0198c0de-7a11-7000-8000-0000000000aa';
export const TIME = '2026-01-31T12:00:00.000Z';
export const MAX_ITEMS = 50;
export const MAX_BATCH = 100;
export const MAX_METADATA = 50;
export const MAX_KEY = 40;
export const MAX_VALUE = 500;

export const METADATA_API = {
  type: 'object',
  propertyNames: { minLength: 1, maxLength: MAX_KEY, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$' },
  additionalProperties: { type: 'string', maxLength: MAX_VALUE },
  maxProperties: MAX_METADATA,
} as const;

const STATUS_DOC = {
  enum: ORDER_STATUSES,
  description: 'The status of the order; `PATCH /orders/{id}/status` lists the transitions.',
  example: 'pending',
};
const MONEY_DOC = { pattern: '^\\d+(\\.\\d+)?$', maxLength: 32 };

@ApiSchema({ description: 'One line of an order.' })
export class OrderItemView {
  @ApiProperty({ format: 'uuid', description: "The line's id.", example: ITEM_ID })
  id: string;

  @ApiProperty({ minLength: 1, maxLength: 36, description: "Your product's id.", example: 'prod-1' })
  product_id: string;

  @ApiProperty({
    minLength: 1,
    maxLength: 200,
    description: "The product's name at the time of the order.",
    example: 'Widget',
  })
  product_name: string;

  @ApiProperty({ type: 'integer', minimum: 1, maximum: 1000, description: 'The number.', example: 2 })
  quantity: number;

  @ApiProperty({
    ...MONEY_DOC,
    description: "Price of one, with exactly the currency's minor units.",
    example: '29.99',
  })
  unit_price: string;
}

@ApiSchema({ description: 'An order with its items.' })
export class OrderView {
  @ApiProperty({ format: 'uuid', description: "The order's id.", example: ORDER_ID })
  id: string;

  @ApiProperty({ format: 'uuid', description: "Your customer's id.", example: CUSTOMER_ID })
  customer_id: string;

  @ApiProperty(STATUS_DOC)
  status: OrderStatus;

  @ApiProperty({ ...MONEY_DOC, description: 'Σ quantity × unit_price, exact.', example: '59.98' })
  total_amount: string;

  @ApiProperty({ pattern: '^[A-Z]{3}$', description: 'ISO 4217 code.', example: 'USD' })
  currency: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 500,
    description: 'Free text, unchanged.',
    example: 'Leave at the door',
  })
  notes: string | null;

  @ApiProperty({ ...METADATA_API, description: 'Your own keys and values.', example: { channel: 'web' } })
  metadata: Record<string, string>;

  @ApiProperty({
    type: [OrderItemView],
    minItems: 1,
    maxItems: MAX_ITEMS,
    description: 'In the order they were sent.',
  })
  items: OrderItemView[];

  @ApiProperty(VERSION_DOC)
  version: number;

  @ApiProperty(CREATED_AT_DOC)
  created_at: string;

  @ApiProperty(UPDATED_AT_DOC)
  updated_at: string;
}

/** The order as the API shows it: in responses and events, to every caller alike. */
export function viewOf(
  order: Omit<Order, 'tenantId'>,
  items: readonly Omit<OrderItem, 'tenantId' | 'orderId' | 'position'>[],
): OrderView {
  return {
    id: order.id,
    customer_id: order.customerId,
    status: order.status,
    total_amount: order.totalAmount,
    currency: order.currency,
    notes: order.notes,
    metadata: order.metadata,
    items: items.map((item) => ({
      id: item.id,
      product_id: item.productId,
      product_name: item.productName,
      quantity: item.quantity,
      unit_price: item.unitPrice,
    })),
    version: order.version,
    created_at: order.createdAt.toISOString(),
    updated_at: order.updatedAt.toISOString(),
  };
}

@ApiSchema({ description: 'A page of orders, newest first.' })
export class OrderPage extends pageOf(OrderView, { maxItems: 100, description: 'The orders.' }) {}

@ApiSchema({ description: 'Orders that were created together.' })
export class OrderBatchView {
  @ApiProperty({
    type: [OrderView],
    minItems: 1,
    maxItems: MAX_BATCH,
    description: 'In the order they were sent.',
  })
  data: OrderView[];
}

@ApiSchema({ description: 'The actor of a change.' })
export class ActorView {
  @ApiProperty({ enum: ['user'], description: 'The kind of caller.', example: 'user' })
  type: string;

  @ApiProperty({ format: 'uuid', description: "The caller's id.", example: USER_ID })
  id: string;
}

@ApiSchema({ description: 'One change of an order.' })
class OrderEventView {
  @ApiProperty({ format: 'uuid', description: "The event's id.", example: EVENT_ID })
  id: string;

  @ApiProperty({
    maxLength: 100,
    description: '`order.created`, `order.updated`, or `order.` and the new status.',
    example: 'order.confirmed',
  })
  type: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    enum: [...ORDER_STATUSES, null],
    description: 'The status before; null for the creation.',
    example: 'pending',
  })
  from_status: string | null;

  @ApiProperty({ enum: ORDER_STATUSES, description: 'The status since then.', example: 'confirmed' })
  to_status: string;

  @ApiProperty({ type: ActorView })
  actor: ActorView;

  @ApiProperty({ format: 'date-time', description: 'When it happened.', example: TIME })
  created_at: string;
}

@ApiSchema({ description: "A page of an order's history, newest first." })
export class OrderEventPage extends pageOf(OrderEventView, { maxItems: 100, description: 'The changes.' }) {}

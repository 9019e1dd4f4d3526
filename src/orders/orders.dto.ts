import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import type { FieldFault } from '../platform/errors';
import {
  ChoiceField,
  type CrossChecked,
  CursorField,
  IntegerField,
  lengthOf,
  ListField,
  QueryIntegerField,
  rule,
  TextField,
  TimeField,
  UuidField,
  ValueField,
} from '../platform/http/fields';
import { isJsonObject, textFault } from '../platform/http/json-body';
import { minorUnits } from './currencies';
import { isPositive, parseMoney } from './money';
import { ORDER_STATUSES, type OrderStatus } from './order-status';

const ID = '0198c0de-7a11-7000-8000-000000000001';
const TIME = '2026-01-31T12:00:00.000Z';
export const MAX_ITEMS = 50;
export const MAX_BATCH = 100;
const MAX_METADATA = 50;
const MAX_KEY = 40;
const MAX_VALUE = 500;
/** The most minor units a currency has: how a price is read while its currency is not known. */
const ANY_MINOR_UNITS = 4;

const METADATA_API = {
  type: 'object',
  additionalProperties: { type: 'string', maxLength: MAX_VALUE },
  maxProperties: MAX_METADATA,
} as const;

function CurrencyField(options: { optional?: boolean }): PropertyDecorator {
  return applyDecorators(
    // Letters outside of ASCII can become ASCII ones in upper case (ſ, ı): they are no way to write a code.
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^[a-zA-Z]{3}$/.test(value) ? value.toUpperCase() : value,
    ),
    TextField({ description: 'ISO 4217 code, in either case.', min: 3, max: 3, example: 'USD', ...options }),
    rule('currency', (value) =>
      typeof value !== 'string' || minorUnits(value) !== undefined ? undefined : 'must be an active ISO 4217 code',
    ),
  );
}

function metadataFaults(value: unknown, withNulls: boolean): FieldFault[] {
  if (value === undefined) return [];
  const fault = (field: string, code: string, message: string): FieldFault[] => [{ field, message, code }];
  if (!isJsonObject(value)) return fault('metadata', 'is_object', 'must be an object of strings');
  const entries = Object.entries(value);
  if (entries.length > MAX_METADATA) {
    return fault('metadata', 'max_entries', `must have at most ${MAX_METADATA} entries`);
  }
  return entries.flatMap(([key, entry]) => {
    const length = lengthOf(key);
    const field = `metadata.${length > MAX_KEY ? `${[...key.slice(0, 2 * MAX_KEY)].slice(0, MAX_KEY).join('')}…` : key}`;
    if (length < 1 || length > MAX_KEY) {
      return fault(field, 'key_length', `must have a key of 1 to ${MAX_KEY} characters`);
    }
    if (key === '__proto__') return fault(field, 'key', 'is not possible as a key');
    if (textFault(key, false)) return fault(field, 'text', 'must have a key without control characters');
    if (entry === null && withNulls) return [];
    if (typeof entry !== 'string') return fault(field, 'is_string', `must be a string${withNulls ? ' or null' : ''}`);
    if (lengthOf(entry) > MAX_VALUE) return fault(field, 'max_length', `must have at most ${MAX_VALUE} characters`);
    const textual = textFault(entry, true);
    return textual ? fault(field, 'text', textual) : [];
  });
}

export class CreateOrderItemDto {
  @TextField({ description: "Your product's id.", min: 1, max: 36, example: 'prod-1' })
  product_id: string;

  @TextField({ description: "The product's name at the time of the order.", min: 1, max: 200, example: 'Widget' })
  product_name: string;

  @IntegerField({ description: 'How many.', min: 1, max: 1000, example: 2 })
  quantity: number;

  @ValueField({
    description:
      "Price of one, at least one minor unit, below 10^12, with at most the currency's digits after the point. A " +
      'decimal string, or a JSON number without an exponent and with at most 15 significant digits.',
    example: '29.99',
    api: { oneOf: [{ type: 'string', pattern: '^(0|[1-9]\\d*)(\\.\\d+)?$' }, { type: 'number' }] },
  })
  unit_price: unknown;
}

export class CreateOrderDto implements CrossChecked {
  @UuidField({ description: "Your customer's id.", example: ID })
  customer_id: string;

  @ListField({ description: 'What is ordered.', type: CreateOrderItemDto, min: 1, max: MAX_ITEMS })
  items: CreateOrderItemDto[];

  @CurrencyField({})
  currency: string;

  @TextField({
    description: 'Anything.',
    min: 0,
    max: 500,
    multiline: true,
    nullable: true,
    example: 'Leave at the door',
  })
  notes?: string | null;

  @ValueField({
    description: 'Your own keys (1 to 40 characters) and values (at most 500), 50 pairs at most.',
    example: { channel: 'web' },
    optional: true,
    api: METADATA_API,
  })
  metadata?: Record<string, string>;

  crossCheck(): FieldFault[] {
    return [...this.priceFaults(), ...metadataFaults(this.metadata, false)];
  }

  /** Prices depend on the currency; each is read with its minor units. */
  private priceFaults(): FieldFault[] {
    if (!Array.isArray(this.items) || this.items.length > MAX_ITEMS) return [];
    const digits = typeof this.currency === 'string' ? minorUnits(this.currency) : undefined;
    return this.items.flatMap((item, index) => {
      const price = (item as CreateOrderItemDto | null)?.unit_price;
      if (price === undefined) return [];
      const field = `items.${index}.unit_price`;
      const money = parseMoney(price, digits ?? ANY_MINOR_UNITS);
      if (!money.ok) return [{ field, ...money.fault }];
      return isPositive(money.minor) ? [] : [{ field, message: 'must be at least one minor unit', code: 'min' }];
    });
  }
}

export class CreateOrdersDto implements CrossChecked {
  @ListField({ description: 'All of them are made, or none.', type: CreateOrderDto, min: 1, max: MAX_BATCH })
  orders: CreateOrderDto[];

  crossCheck(): FieldFault[] {
    if (!Array.isArray(this.orders) || this.orders.length > MAX_BATCH) return [];
    return this.orders.flatMap((order, index) =>
      order instanceof CreateOrderDto
        ? order.crossCheck().map((fault) => ({ ...fault, field: `orders.${index}.${fault.field}` }))
        : [],
    );
  }
}

export class UpdateOrderDto implements CrossChecked {
  @TextField({
    description: 'New notes; null removes them.',
    min: 0,
    max: 500,
    multiline: true,
    nullable: true,
    example: 'Ring twice',
  })
  notes?: string | null;

  @ValueField({
    description: 'Merged into what is there; a null value removes its key.',
    example: { channel: 'phone', coupon: null },
    optional: true,
    api: { ...METADATA_API, additionalProperties: { type: ['string', 'null'], maxLength: MAX_VALUE } as never },
  })
  metadata?: Record<string, string | null>;

  crossCheck(): FieldFault[] {
    return metadataFaults(this.metadata, true);
  }
}

export class ChangeStatusDto {
  @ChoiceField({
    description:
      'pending → confirmed, cancelled; confirmed → processing, cancelled; processing → completed, cancelled.',
    values: ORDER_STATUSES,
    example: 'confirmed',
  })
  status: OrderStatus;
}

export class OrderFilters {
  @ChoiceField({
    description: 'Only orders in this status.',
    values: ORDER_STATUSES,
    optional: true,
    example: 'pending',
  })
  status?: OrderStatus;

  @UuidField({ description: 'Only orders of this customer.', optional: true, example: ID })
  customer_id?: string;

  @CurrencyField({ optional: true })
  currency?: string;

  @TimeField({ description: 'Only orders made after this time.', optional: true, example: TIME })
  created_after?: Date;

  @TimeField({ description: 'Only orders made before this time.', optional: true, example: TIME })
  created_before?: Date;
}

export class ListOrdersDto extends OrderFilters {
  @QueryIntegerField({ description: 'Entries on a page.', min: 1, max: 100, default: 20, optional: true, example: 20 })
  limit: number = 20;

  @CursorField()
  cursor?: string;
}

export class ExportOrdersDto extends OrderFilters {
  @ChoiceField({
    description: 'One JSON object a line, or comma-separated values with a header line.',
    values: ['ndjson', 'csv'],
    default: 'ndjson',
    optional: true,
    example: 'ndjson',
  })
  format: 'ndjson' | 'csv' = 'ndjson';
}

export class OrderItemView {
  @ApiProperty({ format: 'uuid', example: ID })
  id: string;

  @ApiProperty({ example: 'prod-1' })
  product_id: string;

  @ApiProperty({ example: 'Widget' })
  product_name: string;

  @ApiProperty({ type: 'integer', example: 2 })
  quantity: number;

  @ApiProperty({ description: "With exactly the currency's minor units.", example: '29.99' })
  unit_price: string;
}

export class OrderView {
  @ApiProperty({ format: 'uuid', example: ID })
  id: string;

  @ApiProperty({ format: 'uuid', example: ID })
  customer_id: string;

  @ApiProperty({ enum: ORDER_STATUSES, example: 'pending' })
  status: OrderStatus;

  @ApiProperty({ description: 'Σ quantity × unit_price, exact.', example: '59.98' })
  total_amount: string;

  @ApiProperty({ example: 'USD' })
  currency: string;

  @ApiProperty({ type: 'string', nullable: true, example: 'Leave at the door' })
  notes: string | null;

  @ApiProperty({ ...METADATA_API, example: { channel: 'web' } })
  metadata: Record<string, string>;

  @ApiProperty({ type: [OrderItemView], description: 'In the order they were sent.' })
  items: OrderItemView[];

  @ApiProperty({ type: 'integer', description: 'Grows with each change; the `ETag` is made of it.', example: 1 })
  version: number;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;

  @ApiProperty({ format: 'date-time', example: TIME })
  updated_at: string;
}

export class OrderPage {
  @ApiProperty({ type: [OrderView] })
  data: OrderView[];

  @ApiProperty({ type: 'string', nullable: true, description: 'For `cursor`; null on the last page.', example: null })
  next_cursor: string | null;

  @ApiProperty({ example: false })
  has_more: boolean;
}

export class OrderBatchView {
  @ApiProperty({ type: [OrderView], description: 'In the order they were sent.' })
  data: OrderView[];
}

export class ActorView {
  @ApiProperty({ enum: ['user'], example: 'user' })
  type: string;

  @ApiProperty({ format: 'uuid', example: ID })
  id: string;
}

export class OrderEventView {
  @ApiProperty({ format: 'uuid', example: ID })
  id: string;

  @ApiProperty({
    description: '`order.created`, `order.updated`, or `order.` and the new status.',
    example: 'order.confirmed',
  })
  type: string;

  @ApiProperty({ type: 'string', nullable: true, enum: [...ORDER_STATUSES, null], example: 'pending' })
  from_status: string | null;

  @ApiProperty({ enum: ORDER_STATUSES, example: 'confirmed' })
  to_status: string;

  @ApiProperty({ type: ActorView })
  actor: ActorView;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;
}

export class OrderEventPage {
  @ApiProperty({ type: [OrderEventView] })
  data: OrderEventView[];

  @ApiProperty({ type: 'string', nullable: true, description: 'For `cursor`; null on the last page.', example: null })
  next_cursor: string | null;

  @ApiProperty({ example: false })
  has_more: boolean;
}

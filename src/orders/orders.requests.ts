import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../platform/errors';
import { type CrossChecked, ReadAs, rule } from '../platform/http/requests/field-declaration';
import {
  ChoiceField,
  CursorField,
  IntegerField,
  ListField,
  NameField,
  PageLimitField,
  QueryBooleanField,
  TextField,
  TimeField,
  UuidField,
  ValueField,
} from '../platform/http/requests/fields';
import { lengthOf } from '../platform/http/requests/text-formats';
import { isJsonObject, textFault } from '../platform/http/requests/json-body';
import { minorUnits } from './currencies';
import { EXPORT_FORMATS, type ExportFormat } from './export-format';
import { type Money, parseMoney } from './money';
import { ORDER_STATUSES, type OrderStatus } from './order-status';
import {
  ORDER_ID,
  CUSTOMER_ID,
  TIME,
  MAX_ITEMS,
  MAX_BATCH,
  MAX_METADATA,
  MAX_KEY,
  MAX_VALUE,
  METADATA_API,
} from './orders.views';

/** The largest number of minor units: a price is parsed with it while its currency is not known. */
const ANY_MINOR_UNITS = 4;

function CurrencyField(options: { optional?: boolean }): PropertyDecorator {
  return applyDecorators(
    // Some non-ASCII letters become ASCII in upper case (ſ, ı): they are refused.
    ReadAs((value) => (typeof value === 'string' && /^[a-zA-Z]{3}$/.test(value) ? value.toUpperCase() : value)),
    TextField({
      description: 'ISO 4217 code, in either case.',
      min: 3,
      max: 3,
      pattern: '^[A-Za-z]{3}$',
      example: 'USD',
      ...options,
    }),
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

@ApiSchema({ description: 'One line of a new order.' })
export class CreateOrderItemDto {
  @TextField({ description: "Your product's id.", min: 1, max: 36, example: 'prod-1' })
  product_id: string;

  @NameField({ description: "The product's name at the time of the order.", max: 200, example: 'Widget' })
  product_name: string;

  @IntegerField({ description: 'The number.', min: 1, max: 1000, example: 2 })
  quantity: number;

  @ValueField({
    description:
      "Price of one, at least one minor unit, below 10^12, with at most the currency's digits after the point. A " +
      'decimal string, or a JSON number without an exponent and with at most 15 significant digits.',
    example: '29.99',
    api: {
      oneOf: [
        { type: 'string', maxLength: 64, pattern: '^(?=.*[1-9])(0|[1-9]\\d{0,11})(\\.\\d{1,4})?$' },
        { type: 'number', minimum: 0.0001, maximum: 999999999999.99 },
      ],
    },
  })
  /** Read with the minor units of the order's currency, which `crossCheck` of the order knows. */
  unit_price: Money;
}

@ApiSchema({ description: 'A new order.' })
@ApiExtraModels(CreateOrderItemDto)
export class CreateOrderDto implements CrossChecked {
  @UuidField({ description: "Your customer's id.", example: CUSTOMER_ID })
  customer_id: string;

  @ListField({ description: 'A new order.', type: CreateOrderItemDto, min: 1, max: MAX_ITEMS })
  items: CreateOrderItemDto[];

  @CurrencyField({})
  currency: string;

  @TextField({
    description: 'Free text.',
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
      const price: unknown = (item as CreateOrderItemDto | undefined)?.unit_price;
      if (price === undefined) return [];
      const field = `items.${index}.unit_price`;
      const money = parseMoney(price, digits ?? ANY_MINOR_UNITS);
      if ('code' in money) return [{ field, ...money }];
      item.unit_price = money;
      return money.isPositive ? [] : [{ field, message: 'must be at least one minor unit', code: 'min' }];
    });
  }
}

@ApiSchema({ description: 'New orders, made together.' })
@ApiExtraModels(CreateOrderDto)
export class CreateOrdersDto {
  @ListField({ description: 'All of them are created, or none.', type: CreateOrderDto, min: 1, max: MAX_BATCH })
  orders: CreateOrderDto[];
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
    description: 'Merged into the stored metadata; a null value removes its key.',
    example: { channel: 'phone', coupon: null },
    optional: true,
    api: { ...METADATA_API, additionalProperties: { type: ['string', 'null'], maxLength: MAX_VALUE } as never },
  })
  metadata?: Record<string, string | null>;

  crossCheck(): FieldFault[] {
    return metadataFaults(this.metadata, true);
  }
}

@ApiSchema({ description: 'The new status.' })
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

  @UuidField({ description: 'Only orders of this customer.', optional: true, example: CUSTOMER_ID })
  customer_id?: string;

  @CurrencyField({ optional: true })
  currency?: string;

  @TimeField({ description: 'Only orders made after this time.', optional: true, example: TIME })
  created_after?: Date;

  @TimeField({ description: 'Only orders made before this time.', optional: true, example: TIME })
  created_before?: Date;

  @UuidField({
    description:
      'Only orders created after this one, without it: for polling, since orders of one millisecond also have ' +
      'an order. An order whose transaction ends late may have an id before one that was already listed; read ' +
      'the last seconds again, or use a webhook if every order matters.',
    optional: true,
    example: ORDER_ID,
  })
  after_id?: string;
}

export class ListOrdersDto extends OrderFilters {
  @PageLimitField()
  limit: number = 20;

  @CursorField()
  cursor?: string;
}

export class ExportOrdersDto extends OrderFilters {
  @ChoiceField({
    description:
      'One JSON object per line, or comma-separated values with a header line. By default `Accept` decides; without ' +
      'a preference it is `ndjson`.',
    values: EXPORT_FORMATS,
    optional: true,
    example: 'ndjson',
  })
  format?: ExportFormat;

  @QueryBooleanField({
    description:
      '`true`: CSV begins with a byte order mark, by which Excel reads it as UTF-8. Without effect on NDJSON.',
    default: false,
    optional: true,
    example: true,
  })
  bom: boolean = false;
}

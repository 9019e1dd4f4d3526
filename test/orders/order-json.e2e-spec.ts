import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { Client } from 'pg';
import { findOrderJson, listOrdersJson } from '../../src/orders/orders.queries';
import { startService, type TestService } from '../harness/service';

const TIME = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
/** The same JSON by the functions that PostgreSQL has for it. */
const BUILT = `
  select json_build_object(
    'id', o.id, 'customer_id', o.customer_id, 'status', o.status, 'total_amount', o.total_amount::text,
    'currency', o.currency, 'notes', o.notes, 'metadata', o.metadata,
    'items', (select coalesce(json_agg(json_build_object(
        'id', i.id, 'product_id', i.product_id, 'product_name', i.product_name,
        'quantity', i.quantity, 'unit_price', i.unit_price::text) order by i.position), '[]'::json)
      from order_items i where i.tenant_id = $1 and i.order_id = o.id),
    'version', o.version, 'created_at', ${TIME('o.created_at')}, 'updated_at', ${TIME('o.updated_at')})::text as json
  from orders o where o.tenant_id = $1 and o.id = $2`;

/** Anything that a column of text can hold; PostgreSQL takes no NUL, and UTF-8 has no lone surrogates. */
const hostile = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('"', '\\', '\\"', '", "status" : "completed', "'", "';--", '\u2028\u2029', '\u0001\u001f\u007f', '</script>'),
  fc.constantFrom('\\u0000', '{"a":1}', ', ', '\n\r\t\b\f', '𝒳👩‍👩‍👧', '%s $1 ||', 'E\'\\x\''),
).map((text) => Buffer.from(text.replaceAll('\0', '')).toString()); // prettier-ignore

const order = fc.record({
  notes: fc.option(hostile, { nil: null }),
  metadata: fc.dictionary(hostile, hostile, { maxKeys: 4 }),
  at: fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
  micros: fc.integer({ min: 0, max: 999 }),
  total: fc.bigInt({ min: 1n, max: 99_999_999_999_999_999n }),
  scale: fc.constantFrom(0, 2, 4),
  items: fc.array(fc.record({ id: hostile, name: hostile, quantity: fc.integer({ min: 1, max: 1000 }) }), {
    maxLength: 4,
  }),
});

function decimal(units: bigint, scale: number): string {
  const digits = units.toString().padStart(scale + 1, '0');
  return scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

describe('JSON of orders that PostgreSQL joins as text', () => {
  let service: TestService;
  let owner: Client;
  let tenantId: string;

  beforeAll(async () => {
    service = await startService();
    ({ tenantId } = await service.tenant());
    owner = new Client({ connectionString: service.database.ownerUrl });
    await owner.connect();
    await owner.query(`set timezone = 'UTC'`);
  });
  afterAll(async () => {
    await owner.end();
    await service.stop();
  });

  it('is byte for byte what json_build_object makes, whatever the texts hold', async () => {
    await fc.assert(
      fc.asyncProperty(order, async ({ notes, metadata, at, micros, total, scale, items }) => {
        const id = randomUUID();
        const time = at.toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`);
        await owner.query('begin');
        try {
          await owner.query(
            `insert into orders (tenant_id, id, customer_id, status, total_amount, currency, notes, metadata, version,
                                 created_at, updated_at)
             values ($1, $2, $3, 'pending', $4, 'USD', $5, $6, 3, $7, $7)`,
            [
              tenantId,
              id,
              randomUUID(),
              decimal(total % 10n ** BigInt(16 + scale) || 1n, scale),
              notes,
              metadata,
              time,
            ],
          );
          for (const [position, item] of items.entries()) {
            await owner.query(
              `insert into order_items (tenant_id, order_id, position, id, product_id, product_name, quantity, unit_price)
               values ($1, $2, $3, $4, $5, $6, $7, '0.10')`,
              [tenantId, id, position, randomUUID(), item.id, item.name, item.quantity],
            );
          }
          const built = (await owner.query<{ json: string }>(BUILT, [tenantId, id])).rows[0]?.json;
          for (const { text, values } of [
            findOrderJson(tenantId, id),
            listOrdersJson(tenantId, {}, undefined, 2),
            listOrdersJson(tenantId, {}, undefined, 100),
          ]) {
            const { rows } = await owner.query<{ json: string }>(text, values as unknown[]);
            expect(rows.map(({ json }) => json)).toEqual([built]);
          }
          const { notes: read, items: lines } = JSON.parse(built ?? '') as { notes: unknown; items: unknown[] };
          expect([read, lines.length]).toEqual([notes, items.length]);
        } finally {
          await owner.query('rollback');
        }
      }),
      { numRuns: 150 },
    );
  });
});

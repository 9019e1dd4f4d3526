import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const SCRIPT = join(__dirname, '..', '..', 'scripts', 'check-platform.mjs');

/** A feature whose names the script can only read from its declarations. */
const FEATURE = {
  'src/invoices/invoices.tables.ts': `export const INVOICES_PLACEMENTS: Placements = { invoices: 'distributed', invoice_lines: 'distributed' };\n`,
  'src/invoices/invoices.permissions.ts': `PERMISSIONS.declare({ 'invoices:read': { description: 'Read.', roles: [] } });\n`,
  'src/invoices/invoice-event-types.ts': `export const TYPES = [{ name: 'invoice.paid', description: 'Paid.', data: View }];\n`,
};

/** The faults of a tree with that feature and these files of the platform, as `file:line: 'name'`. */
function faultsOf(platform: Readonly<Record<string, string>>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'orders-test-platform-'));
  try {
    const files = Object.entries(platform).map(([file, text]) => [`src/platform/${file}`, text] as const);
    for (const [file, text] of [...Object.entries(FEATURE), ...files]) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, folder], { encoding: 'utf8' });
    const faults = stderr.split('\n').filter(Boolean);
    expect(status).toBe(faults.length === 0 ? 0 : 1);
    return faults.map((fault) => fault.replace(/^src\/platform\/(\S+:\d+: '.*?').*/, '$1'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the platform', () => {
  it('names no word of a feature, in comments, texts and parts of names', () => {
    const texts = {
      'a.ts': `/**\n * Signs webhooks.\n */\nexport const title = 'Orders API';\n`,
      'b.ts': `export const findEndpoint = (delivery_id: string) => delivery_id;\nconst MAX_DELIVERIES = 1;\n`,
      'c.ts': `const path = '/api/v1/orders/batch'; // an order of a customer\n`,
    };
    expect(faultsOf(texts)).toEqual([
      "a.ts:4: 'Orders'",
      "a.ts:2: 'webhooks'",
      "b.ts:1: 'delivery'",
      "b.ts:1: 'delivery'",
      "b.ts:2: 'DELIVERIES'",
      "b.ts:1: 'Endpoint'",
      "c.ts:1: 'orders'",
      "c.ts:1: 'order'",
    ]);
  });

  it('names no table, permission or event type that a feature declares', () => {
    const texts = {
      'sql.ts':
        "const text = `delete from invoice_lines where id = $1`;\nconst other = 'select 1 from\\n  invoices';\n",
      'names.ts': "const asked = 'invoices:read';\n/** Such as `invoice.paid`. */\nconst type = 1;\n",
    };
    expect(faultsOf(texts)).toEqual([
      "names.ts:1: 'invoices:read'",
      "names.ts:2: 'invoice.paid'",
      "sql.ts:1: 'from invoice_lines'",
    ]);
  });

  it('may use the words in their general meaning', () => {
    const texts = {
      'a.ts': `/** In the order of commits, in this\n * order, and the order they came. */\nconst text = 'select 1 order by id';\n`,
      'b.ts': `const mark = 'a byte order mark'; // reads OTEL_EXPORTER_OTLP_ENDPOINT; ordered, recorder\n`,
      'c.ts': '/** Takes rows from invoices of another system. */\nconst invoices = 1;\n',
      'd.spec.ts': "const sample = '/api/v1/orders';\n",
    };
    expect(faultsOf(texts)).toEqual([]);
  });
});

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '..', '..', '..', '..');
const run = promisify(execFile);

/** The code of a user who has only the generated types: it compiles only if they are right. */
const USAGE = `
import type { components, operations, paths, webhooks } from './api';

type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : never;
type Problem<T> = T extends { content: { 'application/problem+json': infer Body } } ? Body : never;
type Order = components['schemas']['Order'];
type CreateOrder = Json<NonNullable<paths['/api/v1/orders']['post']['requestBody']>>;
type Refusal = Problem<operations['createOrder']['responses'][422]>;

export const order: CreateOrder = {
  customer_id: '3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c',
  currency: 'USD',
  items: [
    { product_id: 'prod-1', product_name: 'Widget', quantity: 2, unit_price: '29.99' },
    { product_id: 'prod-2', product_name: 'Gear', quantity: 1, unit_price: 4.5 },
  ],
};

export async function createOrder(token: string, body: CreateOrder, key: string): Promise<Order> {
  const headers: NonNullable<operations['createOrder']['parameters']['header']> = { 'Idempotency-Key': key };
  const answer = await fetch('/api/v1/orders', {
    method: 'POST',
    headers: { authorization: \`Bearer \${token}\`, 'content-type': 'application/json', ...headers } as Record<string, string>,
    body: JSON.stringify(body),
  });
  if (answer.status === 201) return (await answer.json()) as Json<operations['createOrder']['responses'][201]>;
  const refusal = (await answer.json()) as Refusal;
  throw new Error(refusal.errors?.map(({ field, message }) => \`\${field} \${message}\`).join() ?? refusal.detail);
}

export function describe(page: Json<operations['listOrders']['responses'][200]>): string[] {
  const next: string | null = page.next_cursor;
  return page.data.map(({ id, notes, status }) => \`\${id} \${notes?.toUpperCase() ?? ''} \${status satisfies Order['status']} \${next}\`);
}

export const finalStatus: components['schemas']['OrderStatus'] = 'completed' satisfies Order['status'];
export const problem: components['schemas']['Problem']['errors'] = undefined;

export function isPaid(message: Json<NonNullable<webhooks['order.completed']['post']['requestBody']>>): boolean {
  return message.type === 'order.completed' && message.data.status === 'completed';
}

const kind: Problem<operations['getOrder']['responses'][404]>['type'] = 'not_found';
export const query: operations['listOrders']['parameters']['query'] = { limit: 5, status: 'pending' };

// @ts-expect-error -- a field that is not one
export const unknownField: CreateOrder = { ...order, colour: 'red' };
// @ts-expect-error -- a status that is not one
export const unknownStatus: operations['listOrders']['parameters']['query'] = { status: kind };
`;

const SETTINGS = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2022', 'dom'],
    types: [],
  },
  files: ['usage.ts'],
};

describe('a client generated from the OpenAPI document', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'orders-client-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('compiles, and knows what the API takes and gives', async () => {
    const tool = (path: string) => join(ROOT, 'node_modules', path);
    const golden = join(__dirname, '..', '..', '..', 'golden', 'openapi.json');
    const node = (...args: string[]) =>
      run(process.execPath, args, { cwd: folder }).catch((error: Error & { stdout: string; stderr: string }) => {
        throw new Error(`${args[0]}\n${error.stdout}\n${error.stderr}`);
      });
    await node(tool('openapi-typescript/bin/cli.js'), golden, '-o', join(folder, 'api.ts'));
    writeFileSync(join(folder, 'usage.ts'), USAGE);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(SETTINGS));
    await node(tool('typescript/bin/tsc'), '-p', folder);
  });
});

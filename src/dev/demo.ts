import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import { AuthService } from '../auth/sign-in/auth.service';
import { CreateOrderDto } from '../orders/orders.requests';
import { TenantDatabase } from '../platform/database/tenant-database';
import { readDto } from '../platform/http/requests/validation.pipe';
import { Outcome } from '../platform/http/responses/results';
import { Order } from '../orders/order.entity';
import { OrdersService } from '../orders/orders.service';
import type { OrderStatus } from '../orders/order-status';
import { keptSecret } from '../platform/config/kept-secret';
import { AppError } from '../platform/errors';
import type { Caller } from '../platform/http/requests/caller';
import { PERMISSIONS } from '../platform/permissions/permissions';

/** How to sign in to the demo tenant. */
export interface DemoSignIn {
  email: string;
  password: string;
}

const EMAIL = 'demo@example.com';
const ORDERS = 36;
/** More than the demo has: a person's tenant that has as many is not touched. */
const PAGE = 100;
const PRODUCTS = [
  { product_id: 'prod-widget', product_name: 'Widget', unit_price: '29.99' },
  { product_id: 'prod-gear', product_name: 'Brass gear', unit_price: '4.50' },
  { product_id: 'prod-engine', product_name: 'Difference engine', unit_price: '1999.00' },
];
const PATHS: OrderStatus[][] = [
  [],
  ['confirmed'],
  ['confirmed', 'processing'],
  ['confirmed', 'processing', 'completed'],
  ['cancelled'],
];

/** A new tenant with orders. */
export interface Seed extends DemoSignIn {
  tenantName: string;
  orders: number;
}

/**
 * Creates the demo tenant with a few dozen orders, unless it exists; after a killed start, the next one completes it. A
 * file in `dataDir` marks it as complete, so that not every start has to check.
 */
export async function seedDemo(
  app: INestApplicationContext,
  dataDir: string,
  say: (line: string) => void,
): Promise<DemoSignIn> {
  const signIn = { email: EMAIL, password: keptSecret(dataDir, 'demo-password') };
  const complete = join(dataDir, 'demo-complete');
  try {
    const seed = { ...signIn, tenantName: 'Demo Ltd', orders: ORDERS };
    await seedTenant(app, seed, () => say(`Making a demo tenant with ${ORDERS} orders`));
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'conflict')) throw error;
    if (!existsSync(complete)) await finishDemo(app, signIn);
  }
  writeFileSync(complete, '');
  return signIn;
}

async function finishDemo(app: INestApplicationContext, signIn: DemoSignIn): Promise<void> {
  const auth = app.get(AuthService, { strict: false });
  try {
    const { user, tenant, refresh_token } = await auth.login(signIn, { network: '', userAgent: 'demo' });
    if (tenant) await fill(app, ownerOf(tenant.id, user.id), ORDERS);
    await auth.logout(refresh_token);
  } catch (error) {
    // An account with this address and another password is not the demo's.
    if (!(error instanceof AppError && error.code === 'unauthorized')) throw error;
  }
}

/**
 * Creates a tenant, its owner, and orders in every state, each with its events.
 * @param onRegistered called after the registration and before the orders
 * @returns the tenant's id
 * @throws Conflict when the e-mail address is known
 */
export async function seedTenant(
  app: INestApplicationContext,
  seed: Seed,
  onRegistered: () => void = () => undefined,
): Promise<string> {
  const owner = await app
    .get(AuthService, { strict: false })
    .register(
      { email: seed.email, password: seed.password, name: 'Demo', tenant_name: seed.tenantName },
      { network: '', userAgent: 'seed' },
    );
  onRegistered();
  await fill(app, ownerOf(owner.tenant.id, owner.user.id), seed.orders);
  return owner.tenant.id;
}

function ownerOf(tenantId: string, userId: string): Caller {
  return {
    tenantId,
    actor: { type: 'user', id: userId },
    role: 'owner',
    permissions: PERMISSIONS.ofRole('owner'),
  };
}

/** Creates the missing orders of a tenant, after completing the last existing one. */
async function fill(app: INestApplicationContext, caller: Caller, count: number): Promise<void> {
  const orders = app.get(OrdersService, { strict: false });
  const database = app.get(TenantDatabase, { strict: false });
  const made = await database.transaction(caller, (tx) =>
    tx.repository(Order).find({ where: { tenantId: caller.tenantId }, order: { id: 'DESC' }, take: PAGE }),
  );
  if (made.length >= count) return;
  const [last] = made;
  if (last) await walk(orders, caller, last.id, made.length - 1, last.status);
  for (let i = made.length; i < count; i++) {
    const items = PRODUCTS.slice(0, 1 + (i % 3)).map((product, at) => ({ ...product, quantity: 1 + ((i + at) % 4) }));
    const order = readDto(CreateOrderDto, {
      customer_id: `0198c0de-7a11-7000-8000-00000000000${1 + (i % 5)}`,
      items,
      currency: i % 4 === 3 ? 'EUR' : 'USD',
      notes: i % 6 === 0 ? 'Leave at the door' : null,
      metadata: { channel: i % 2 === 0 ? 'web' : 'phone' },
    });
    const created = await orders.create(caller, order);
    if (created instanceof Outcome && created.details.id) await walk(orders, caller, created.details.id, i, 'pending');
  }
}

/** Changes the status of the i-th order, from its current one to the end of its path. */
async function walk(orders: OrdersService, caller: Caller, id: string, i: number, from: OrderStatus): Promise<void> {
  const path = PATHS[i % PATHS.length] as OrderStatus[];
  for (const status of path.slice(path.indexOf(from) + 1)) await orders.changeStatus(caller, id, status);
}

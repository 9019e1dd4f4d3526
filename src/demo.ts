import type { INestApplicationContext } from '@nestjs/common';
import { AuthService } from './auth/auth.service';
import { CreateOrderDto } from './orders/orders.dto';
import { OrdersService } from './orders/orders.service';
import type { OrderStatus } from './orders/order-status';
import { AppError } from './platform/errors';
import type { Caller } from './platform/http/caller';
import { PERMISSIONS_OF_ROLE } from './tenants/roles';

/** How to sign in to the demo tenant. */
export interface DemoSignIn {
  email: string;
  password: string;
}

const EMAIL = 'demo@example.com';
const ORDERS = 36;
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

/** A tenant to be made with orders in it. */
export interface Seed extends DemoSignIn {
  tenantName: string;
  orders: number;
}

/** Makes the demo tenant with a few dozen orders, unless it is there. */
export async function seedDemo(
  app: INestApplicationContext,
  password: string,
  say: (line: string) => void,
): Promise<DemoSignIn> {
  const signIn = { email: EMAIL, password };
  try {
    const seed = { ...signIn, tenantName: 'Demo Ltd', orders: ORDERS };
    await seedTenant(app, seed, () => say(`Making a demo tenant with ${ORDERS} orders`));
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'conflict')) throw error;
  }
  return signIn;
}

/**
 * Makes a tenant, its owner, and orders in every state, of which each event is published as usual.
 * @param onRegistered told when the tenant is there and before its orders are made
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
    .register({ email: seed.email, password: seed.password, name: 'Demo', tenant_name: seed.tenantName });
  onRegistered();
  const caller: Caller = {
    tenantId: owner.tenant.id,
    actor: { type: 'user', id: owner.user.id },
    role: 'owner',
    sessionId: owner.tenant.id,
    permissions: PERMISSIONS_OF_ROLE.owner,
  };
  const orders = app.get(OrdersService, { strict: false });
  for (let i = 0; i < seed.orders; i++) {
    const items = PRODUCTS.slice(0, 1 + (i % 3)).map((product, at) => ({ ...product, quantity: 1 + ((i + at) % 4) }));
    const order = Object.assign(new CreateOrderDto(), {
      customer_id: `0198c0de-7a11-7000-8000-00000000000${1 + (i % 5)}`,
      items,
      currency: i % 4 === 3 ? 'EUR' : 'USD',
      notes: i % 6 === 0 ? 'Leave at the door' : null,
      metadata: { channel: i % 2 === 0 ? 'web' : 'phone' },
    });
    const answer = await orders.create(caller, order);
    const { id } = JSON.parse(answer.body) as { id: string };
    for (const status of PATHS[i % PATHS.length] as OrderStatus[]) await orders.changeStatus(caller, id, status);
  }
  return owner.tenant.id;
}

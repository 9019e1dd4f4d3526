import { orderInput } from './client';

/** One route of the orders, with valid input for it. */
export interface OrderRoute {
  method: 'GET' | 'POST' | 'PATCH';
  /** As the contract writes it. */
  route: string;
  path: (id: string) => string;
  body?: () => Record<string, unknown>;
  status: number;
}

/** Every route of the contract's orders section. */
export const ORDER_ROUTES: OrderRoute[] = [
  { method: 'POST', route: '/orders', path: () => '/orders', body: orderInput, status: 201 },
  { method: 'GET', route: '/orders', path: () => '/orders', status: 200 },
  { method: 'GET', route: '/orders/{id}', path: (id) => `/orders/${id}`, status: 200 },
  { method: 'PATCH', route: '/orders/{id}', path: (id) => `/orders/${id}`, body: () => ({ notes: 'n' }), status: 200 },
  {
    method: 'PATCH',
    route: '/orders/{id}/status',
    path: (id) => `/orders/${id}/status`,
    body: () => ({ status: 'confirmed' }),
    status: 200,
  },
  { method: 'GET', route: '/orders/{id}/events', path: (id) => `/orders/${id}/events`, status: 200 },
  { method: 'GET', route: '/orders/export', path: () => '/orders/export', status: 200 },
  {
    method: 'POST',
    route: '/orders/batch',
    path: () => '/orders/batch',
    body: () => ({ orders: [orderInput(), orderInput()] }),
    status: 201,
  },
];

/** The rows of `it.each` for some of the routes. */
export function routesWhere(test: (route: OrderRoute) => boolean = () => true): [string, OrderRoute][] {
  return ORDER_ROUTES.filter(test).map((route) => [`${route.method} ${route.route}`, route]);
}

import { randomUUID } from 'node:crypto';
import { keepSecret, keepSecretsOf } from './suite-log';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
export interface ApiResponse<T = any> {
  status: number;
  headers: Headers;
  text: string;
  /** The parsed body, or undefined if it is not JSON. */
  body: T;
}

export interface SignedIn {
  user: { id: string; email: string; name: string | null; created_at: string };
  tenant: { id: string; name: string; created_at: string };
  access_token: string;
  refresh_token: string;
}

/** A client over real HTTP, with at most one credential. */
export class ApiClient {
  constructor(
    readonly url: string,
    readonly session?: SignedIn,
    private readonly token: string | undefined = session?.access_token,
  ) {}

  get tenantId(): string {
    return (this.session as SignedIn).tenant.id;
  }

  withToken(token: string | undefined): ApiClient {
    return new ApiClient(this.url, this.session, token);
  }

  async request(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<ApiResponse> {
    const { body } = options;
    keepSecretsOf(body);
    if (this.token !== undefined) keepSecret(this.token);
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(
      `${this.url}${path.startsWith('/health') || path.startsWith('/docs') || path.startsWith('/openapi') || path.startsWith('/.well-known') || path === '/' ? '' : '/api/v1'}${path}`,
      {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
          ...options.headers,
        },
        body: body === undefined ? undefined : raw ? (body as string) : JSON.stringify(body),
        redirect: 'manual',
      },
    );
    const text = await response.text();
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    keepSecretsOf(parsed);
    return { status: response.status, headers: response.headers, text, body: parsed };
  }

  get(path: string, headers?: Record<string, string>): Promise<ApiResponse> {
    return this.request('GET', path, { headers });
  }
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiResponse> {
    return this.request('POST', path, { body, headers });
  }
  patch(path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiResponse> {
    return this.request('PATCH', path, { body, headers });
  }
  delete(path: string, headers?: Record<string, string>): Promise<ApiResponse> {
    return this.request('DELETE', path, { headers });
  }

  /** Registers a new tenant; gives its owner's client. */
  async register(tenantName = 'Tenant'): Promise<ApiClient> {
    const response = await this.post('/auth/register', {
      email: `person-${randomUUID()}@example.com`,
      password: 'a password for tests',
      tenant_name: tenantName,
    });
    if (response.status !== 201) throw new Error(`registration failed: ${response.status} ${response.text}`);
    return new ApiClient(this.url, response.body as SignedIn);
  }

  /** Makes an order and gives it. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
  async createOrder(change: Record<string, unknown> = {}): Promise<any> {
    const response = await this.post('/orders', { ...orderInput(), ...change });
    if (response.status !== 201) throw new Error(`order failed: ${response.status} ${response.text}`);
    return response.body;
  }
}

/** A valid body for POST /orders. */
export function orderInput(): Record<string, unknown> {
  return {
    customer_id: randomUUID(),
    currency: 'USD',
    items: [
      { product_id: 'prod-1', product_name: 'Widget', quantity: 2, unit_price: '29.99' },
      { product_id: 'prod-2', product_name: 'Gear', quantity: 1, unit_price: 4.5 },
    ],
  };
}

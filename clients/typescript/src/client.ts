import createClient, { type Client, type FetchOptions } from 'openapi-fetch';
import { ApiError } from './api-error';
import { Credential, type TokenPair, type TokensListener } from './credential';
import type { components, paths } from './schema';
import { Transport } from './transport';

// The package's entry: the public parts of its other files.
export { ApiError, type FieldFault, type ProblemSlug, type SecondFactorDue } from './api-error';
export type { TokenPair, TokensListener } from './credential';
export type { components, operations, paths, webhooks } from './schema';

/** The address of the service, the credential, and the retries. */
export interface OrdersClientOptions {
  /** The address of the service, such as `https://orders.example.com`: the part before `/api/v1`. */
  baseUrl: string;
  /** A bearer token that the program renews itself, or the tokens of a session, which the client then renews itself. */
  credential?: string | TokenPair;
  /** Told of each new pair of tokens, to keep it, and of the session's end. */
  onTokens?: TokensListener;
  /** The platform's `fetch` where it is left out. */
  fetch?: typeof globalThis.fetch;
  /** Retries of a request that may be repeated, after the first try; 3. */
  retries?: number;
  /** Longest wait before a retry, milliseconds; 30,000. A `Retry-After` beyond it is not waited for. */
  maxRetryDelayMs?: number;
  /** For one try, milliseconds; 30,000. */
  timeoutMs?: number;
}

type Method = 'get' | 'post' | 'patch' | 'delete';
/** The paths of the API that have a method. */
export type PathWith<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, object> ? P : never;
}[keyof paths];
/** The arguments of a call: `params`, `body`, `headers`, `signal`, as in the API's document. */
export type CallOptions<P extends keyof paths, M extends Method> = Taken<FetchOptions<paths[P][M]>>;
/** Not `Pick`: its constraint makes the compiler work out the options of every operation at once. */
type Taken<Options> = {
  [Name in keyof Options as Name extends 'params' | 'body' | 'headers' | 'signal' ? Name : never]: Options[Name];
};
type Arguments<P extends keyof paths, M extends Method> =
  object extends CallOptions<P, M> ? [options?: CallOptions<P, M>] : [options: CallOptions<P, M>];
/** The body of a successful answer; undefined where it has none. */
export type Data<Operation> = Operation extends { responses: infer Responses }
  ? {
      [Status in keyof Responses & (200 | 201 | 202 | 204)]: Responses[Status] extends {
        content: { 'application/json': infer Body };
      }
        ? Body
        : undefined;
    }[keyof Responses & (200 | 201 | 202 | 204)]
  : never;
/** A successful answer; `response` has its headers (`ETag`, `RateLimit`, `Idempotency-Replayed`). */
export interface Answer<Body> {
  data: Body;
  response: Response;
}

/** The paths that a GET gets JSON of; the others are for {@link OrdersClient.stream}. */
export type JsonPath = {
  [P in PathWith<'get'>]: undefined extends Data<paths[P]['get']> ? never : P;
}[PathWith<'get'>];

type Page = { data: unknown[]; next_cursor: string | null };
/** The paths that are lists. */
export type ListPath = {
  [P in PathWith<'get'>]: Data<paths[P]['get']> extends Page ? P : never;
}[PathWith<'get'>];
/** The items of a list. */
export type Item<P extends ListPath> = Data<paths[P]['get']> extends { data: (infer T)[] } ? T : never;

type SignedIn = components['schemas']['SignedIn'];

/**
 * A refresh whose answer was lost is made once more, and soon: for ten seconds the service gives the same successor,
 * afterwards it takes a spent refresh token for a stolen one.
 */
const REFRESH = { retries: 1, maxDelayMs: 1_000, timeoutMs: 4_000, repeatAll: true };

/**
 * The API, typed by its document. Answers other than 2xx are thrown as {@link ApiError}; what may be repeated is
 * repeated when the network or the service fails.
 */
export class OrdersClient {
  /**
   * The `openapi-fetch` client underneath, with the same credential and retries: it throws no {@link ApiError}, and is
   * the way to ask with `If-None-Match`.
   */
  readonly raw: Client<paths>;
  private readonly credential: Credential;

  constructor(options: OrdersClientOptions) {
    const { baseUrl, fetch = globalThis.fetch, retries = 3, maxRetryDelayMs = 30_000, timeoutMs = 30_000 } = options;
    if (!/^https?:\/\//.test(baseUrl)) throw new TypeError('baseUrl must begin with http:// or https://');
    if (!Number.isInteger(retries) || retries < 0) throw new TypeError('retries must be a whole number, 0 or more');
    const client = (transport: Transport): Client<paths> => {
      const made = createClient<paths>({ baseUrl, fetch: (request) => transport.send(request) });
      made.use({ onRequest: ({ request, schemaPath }) => transport.prepare(request, schemaPath) });
      return made;
    };
    const refresher = client(new Transport(new Credential(undefined, neverRefresh, undefined), { fetch, ...REFRESH }));
    const refresh = async (refreshToken: string) => {
      const { data, error, response } = await refresher.POST('/api/v1/auth/refresh', {
        body: { refresh_token: refreshToken },
      });
      if (!data) throw new ApiError(response, error);
      return pairOf(data);
    };
    this.credential = new Credential(options.credential, refresh, options.onTokens);
    this.raw = client(new Transport(this.credential, { fetch, retries, maxDelayMs: maxRetryDelayMs, timeoutMs }));
  }

  get<P extends JsonPath>(path: P, ...[options]: Arguments<P, 'get'>): Promise<Answer<Data<paths[P]['get']>>> {
    return this.call('get', path, options);
  }

  post<P extends PathWith<'post'>>(
    path: P,
    ...[options]: Arguments<P, 'post'>
  ): Promise<Answer<Data<paths[P]['post']>>> {
    return this.call('post', path, options);
  }

  patch<P extends PathWith<'patch'>>(
    path: P,
    ...[options]: Arguments<P, 'patch'>
  ): Promise<Answer<Data<paths[P]['patch']>>> {
    return this.call('patch', path, options);
  }

  delete<P extends PathWith<'delete'>>(
    path: P,
    ...[options]: Arguments<P, 'delete'>
  ): Promise<Answer<Data<paths[P]['delete']>>> {
    return this.call('delete', path, options);
  }

  /** A GET whose answer is handed over as it comes: an export. */
  stream<P extends PathWith<'get'>>(
    path: P,
    ...[options]: Arguments<P, 'get'>
  ): Promise<Answer<ReadableStream<Uint8Array>>> {
    return this.call('get', path, { ...options, parseAs: 'stream' });
  }

  /** The pages of a list, one after the other; each is requested when the loop reaches it. */
  async *pages<P extends ListPath>(
    path: P,
    ...[options]: Arguments<P, 'get'>
  ): AsyncGenerator<Data<paths[P]['get']>, void, undefined> {
    const { params } = (options ?? {}) as { params?: { query?: Record<string, unknown> } };
    let cursor = params?.query?.cursor;
    for (;;) {
      const query = { ...params?.query, ...(cursor === undefined ? {} : { cursor }) };
      const { data } = await this.call<Page>('get', path, { ...options, params: { ...params, query } });
      yield data as Data<paths[P]['get']>;
      if (data.next_cursor === null) return;
      if (data.next_cursor === cursor) throw new Error(`${path} leads from a page to itself`);
      cursor = data.next_cursor;
    }
  }

  /** The items of a list, over all of its pages. */
  async *items<P extends ListPath>(path: P, ...args: Arguments<P, 'get'>): AsyncGenerator<Item<P>, void, undefined> {
    for await (const page of this.pages(path, ...args)) yield* (page as unknown as { data: Item<P>[] }).data;
  }

  /**
   * Makes a tenant and its owner, and signs the client in as that owner.
   * @throws Error where the service makes accounts once their mailbox is proved: a mail is on its way then
   */
  async register(body: components['schemas']['Register']): Promise<SignedIn> {
    const { data, ...answer } = await this.post('/api/v1/auth/register', { body });
    if (!('access_token' in data)) throw new Error('a mail was sent: POST /auth/verify-email makes the account');
    return this.begin({ ...answer, data });
  }

  /** Begins a session, in place of any before. */
  async signIn(body: components['schemas']['Login']): Promise<SignedIn> {
    return this.begin(await this.post('/api/v1/auth/login', { body }));
  }

  /** Completes a sign-in whose second factor was due: `secondFactor` of the {@link ApiError} has the challenge. */
  async answerChallenge(body: components['schemas']['AnswerChallenge']): Promise<SignedIn> {
    return this.begin(await this.post('/api/v1/auth/second-factor', { body }));
  }

  /** Makes the account of a pending registration, as which the client is signed in then, or verifies an address. */
  async verifyEmail(
    body: components['schemas']['VerifyEmail'],
  ): Promise<Data<paths['/api/v1/auth/verify-email']['post']>> {
    const { data } = await this.post('/api/v1/auth/verify-email', { body });
    if ('access_token' in data) await this.credential.set(pairOf(data));
    return data;
  }

  /** Joins a tenant by an invitation, and acts in that tenant from then on. */
  async acceptInvitation(body: components['schemas']['AcceptInvitation']): Promise<SignedIn> {
    return this.begin(await this.post('/api/v1/auth/invitations/accept', { body }));
  }

  /** Acts in another tenant of the person from then on. */
  async switchTenant(tenantId: string): Promise<SignedIn> {
    return this.begin(await this.post('/api/v1/auth/switch-tenant', { body: { tenant_id: tenantId } }));
  }

  /** Makes a tenant that the person owns, and acts in it from then on. */
  async createTenant(name: string): Promise<SignedIn> {
    return this.begin(await this.post('/api/v1/tenants', { body: { name } }));
  }

  /** Proves once more who the person is, for what asks for it; a new session takes the place of the old one. */
  async stepUp(body: components['schemas']['StepUp']): Promise<void> {
    const { data } = await this.post('/api/v1/auth/step-up', { body });
    await this.credential.set(pairOf(data));
  }

  /** Ends the session, here and at the service. */
  async signOut(): Promise<void> {
    const { refreshToken } = this.credential;
    if (refreshToken === undefined) return;
    await this.post('/api/v1/auth/logout', { body: { refresh_token: refreshToken } });
    await this.credential.set(undefined);
  }

  private async begin({ data }: Answer<SignedIn>): Promise<SignedIn> {
    await this.credential.set(pairOf(data));
    return data;
  }

  /** The one place where types end: what its callers declare is what the document says of `path`. */
  private async call<Body>(method: Method, path: keyof paths, options: object | undefined): Promise<Answer<Body>> {
    const { data, error, response } = await this.raw.request(method as 'get', path as '/health', options as never);
    if (!response.ok) throw new ApiError(response, error);
    return { data: data as Body, response };
  }
}

/** The part of a response that is kept: a user and a tenant are no part of a credential. */
function pairOf({ access_token, refresh_token }: TokenPair): TokenPair {
  return { access_token, refresh_token };
}

function neverRefresh(): never {
  throw new Error('a refresh is made without a credential');
}

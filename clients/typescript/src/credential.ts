import { ApiError } from './api-error';
import type { components } from './schema';

/** The data that continue a session, as sign-in and refresh return them. */
export type TokenPair = Pick<components['schemas']['Tokens'], 'access_token' | 'refresh_token'>;

/**
 * Told of each new pair, so that it can be kept (a refresh token is good once), and of a session's end by `undefined`.
 */
export type TokensListener = (tokens: TokenPair | undefined) => void | Promise<void>;

/** The credential of a client: a bearer token that its user renews, or a session that renews itself. */
export class Credential {
  private renewal: Promise<string | undefined> | undefined;

  constructor(
    private current: string | TokenPair | undefined,
    private readonly refresh: (refreshToken: string) => Promise<TokenPair>,
    private readonly listener: TokensListener | undefined,
  ) {}

  /** The value of `Authorization: Bearer`. */
  get bearer(): string | undefined {
    return typeof this.current === 'object' ? this.current.access_token : this.current;
  }

  get refreshToken(): string | undefined {
    return typeof this.current === 'object' ? this.current.refresh_token : undefined;
  }

  /** Begins a session, or ends it. */
  async set(tokens: TokenPair | undefined): Promise<void> {
    this.current = tokens;
    await this.listener?.(tokens);
  }

  /**
   * The token to try again with after one was refused, or undefined where there is none. However many requests were
   * refused at once, one refresh is made: a refresh token is good once, and a second use would end the session.
   */
  async after(refused: string): Promise<string | undefined> {
    const { current } = this;
    if (typeof current !== 'object') return undefined;
    if (current.access_token !== refused) return current.access_token;
    this.renewal ??= this.renew(current).finally(() => {
      this.renewal = undefined;
    });
    return this.renewal;
  }

  private async renew(spent: TokenPair): Promise<string | undefined> {
    let next: TokenPair | undefined;
    try {
      next = await this.refresh(spent.refresh_token);
    } catch (error) {
      // The session is over: the refusal that led here is the answer. Anything else may pass, and the pair is kept.
      if (!(error instanceof ApiError && error.status === 401)) throw error;
    }
    // A concurrent sign-in or sign-out takes precedence.
    if (this.current === spent) await this.set(next);
    return this.bearer;
  }
}

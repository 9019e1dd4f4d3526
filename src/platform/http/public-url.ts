import type { Config } from '../config/config';

declare module 'fastify' {
  interface FastifyInstance {
    /** Path in front of every path of the service, as callers see it: empty, or `/shop`. */
    publicPath: string;
  }
}

/** The path of `PUBLIC_URL`, without a slash at its end. A proxy in front removes it. */
export function publicPath({ PUBLIC_URL }: Pick<Config, 'PUBLIC_URL'>): string {
  return PUBLIC_URL === undefined ? '' : new URL(PUBLIC_URL).pathname.replace(/\/+$/, '');
}

/** `PUBLIC_URL` without a slash at its end, as a prefix. */
export function publicUrl({ PUBLIC_URL }: Pick<Config, 'PUBLIC_URL'>): string | undefined {
  return PUBLIC_URL === undefined ? undefined : new URL(PUBLIC_URL).origin + publicPath({ PUBLIC_URL });
}

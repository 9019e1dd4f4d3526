import type { Header } from './openapi-declarations';
import { addRouteConfig } from './route-config';

/** When a route became deprecated, and when it ends: days in UTC, as `2026-11-30`. */
export interface DeprecationNotice {
  since: string;
  sunset: string;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route is to go, as {@link Deprecated} says. */
    deprecation?: DeprecationNotice;
  }
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const DAY_MS = 86_400_000;
/** A client gets at least this long: docs/versioning.md. */
const LEAST_NOTICE_DAYS = 180;

/**
 * Marks a route as deprecated: every answer of it, refusals too, carries `Deprecation` (RFC 9745) and `Sunset` (RFC 8594), and the
 * document says so. Stands above a `@RouteConfig()` of the same route, which would take its place.
 * @throws Error at start where the notice is shorter than the policy gives clients
 */
export const Deprecated = (notice: DeprecationNotice): MethodDecorator => {
  if (timeOf(notice.sunset) - timeOf(notice.since) < LEAST_NOTICE_DAYS * DAY_MS) {
    throw new Error(`a route is deprecated at least ${LEAST_NOTICE_DAYS} days before it ends`);
  }
  return (_target, _name, descriptor) => addRouteConfig(descriptor.value as object, { deprecation: notice });
};

/** The headers of every answer of a deprecated route. */
export function deprecationHeaders(notice: DeprecationNotice): Record<'deprecation' | 'sunset', string> {
  return {
    deprecation: `@${timeOf(notice.since) / 1000}`,
    sunset: new Date(timeOf(notice.sunset)).toUTCString(),
  };
}

/** The same, for the document; no component, since most often no route is deprecated. */
export function describeDeprecation(notice: DeprecationNotice): Record<string, Header> {
  const { deprecation, sunset } = deprecationHeaders(notice);
  return {
    Deprecation: {
      description: 'Since when the route is deprecated, in Unix seconds after an `@` (RFC 9745).',
      required: true,
      schema: { type: 'string', pattern: '^@\\d+$', maxLength: 20 },
      example: deprecation,
    },
    Sunset: {
      description: 'When the route ends; from then on it answers 404 (RFC 8594).',
      required: true,
      schema: { type: 'string', maxLength: 29 },
      example: sunset,
    },
  };
}

function timeOf(day: string): number {
  const time = DAY.test(day) ? Date.parse(`${day}T00:00:00Z`) : NaN;
  if (Number.isNaN(time)) throw new Error(`'${day}' is no day such as 2026-11-30`);
  return time;
}

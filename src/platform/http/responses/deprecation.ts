import { parseUrl } from '../../net/parse-url';
import { addRouteConfig } from '../route-config';

/** The days when a route was deprecated and when it ends, in UTC, as `2026-11-30`. */
export interface DeprecationNotice {
  since: string;
  sunset: string;
  /** The page that names the replacement: a path, or a URL. */
  link: string;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route is deprecated, see {@link Deprecated}. */
    deprecation?: DeprecationNotice;
  }
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const DAY_MS = 86_400_000;
/** Minimum notice: docs/versioning.md. */
const LEAST_NOTICE_DAYS = 180;

/**
 * Marks a route as deprecated: all of its responses, including refusals, have `Deprecation` (RFC 9745), `Sunset` (RFC
 * 8594) and a `Link` to the replacement, and the document marks it. It must be above a `@RouteConfig()` of the same
 * route, which would overwrite it.
 * @throws Error at start if the notice is shorter than the minimum, or the link is invalid
 */
export const Deprecated = (notice: DeprecationNotice): MethodDecorator => {
  if (timeOf(notice.sunset) - timeOf(notice.since) < LEAST_NOTICE_DAYS * DAY_MS) {
    throw new Error(`a route is deprecated at least ${LEAST_NOTICE_DAYS} days before it ends`);
  }
  if (!parseUrl(notice.link, 'https://api.example') || /[<>\s]/.test(notice.link)) {
    throw new Error(`'${notice.link}' is no valid link`);
  }
  return (_target, _name, descriptor) => addRouteConfig(descriptor.value as object, { deprecation: notice });
};

/** The headers of every response of a deprecated route. */
export function deprecationHeaders(notice: DeprecationNotice): Record<'deprecation' | 'sunset' | 'link', string> {
  return {
    deprecation: `@${timeOf(notice.since) / 1000}`,
    sunset: new Date(timeOf(notice.sunset)).toUTCString(),
    link: `<${notice.link}>; rel="deprecation"; type="text/html"`,
  };
}

function timeOf(day: string): number {
  const time = DAY.test(day) ? Date.parse(`${day}T00:00:00Z`) : NaN;
  if (Number.isNaN(time)) throw new Error(`'${day}' is no day such as 2026-11-30`);
  return time;
}

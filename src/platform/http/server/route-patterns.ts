/**
 * The paths and methods of the server, for the response to a request without a route: 404, or 405 with `Allow` if the
 * path has other methods. The router is not sufficient: `GET /reports/batch` would be a report with the id "batch".
 */
import type { FastifyRequest, RouteOptions } from 'fastify';
import { AppError } from '../../errors';
import { pathOf } from '../requests/request-target';

/** A route's methods and path, and the number of its parameters. */
interface RoutePattern {
  url: string;
  methods: Set<string>;
  path: RegExp;
  parameters: number;
}

export class RoutePatterns {
  private readonly patterns = new Map<string, RoutePattern>();
  /** By URL of a route with parameters: the routes without that parameter which its path covers. */
  private readonly literals = new Map<string, readonly RoutePattern[]>();

  /** Notes a route of the server. */
  add({ url, method }: Pick<RouteOptions, 'url' | 'method'>): void {
    const key = url.replace(/(?<=.)\/$/, '');
    const pattern = this.patterns.get(key) ?? toPattern(key);
    this.patterns.set(key, pattern);
    for (const one of [method].flat()) pattern.methods.add(one);
    this.literals.clear();
  }

  /** The refusal of a request if no route serves it, or if a more literal path than its route's forbids its method. */
  refusal(request: FastifyRequest): AppError | undefined {
    if (request.is404) return this.missing(request);
    const { url } = request.routeOptions;
    if (url === undefined || !url.includes(':')) return undefined;
    const literals = this.literalsOf(url);
    if (literals.length === 0) return undefined;
    const path = trimmed(request.url);
    const literal = literals.find((pattern) => pattern.path.test(path));
    return literal && !literal.methods.has(request.method) ? notAllowed(request.method, literal.methods) : undefined;
  }

  /** 404, or 405 with `Allow` if the path has other methods. */
  missing(request: FastifyRequest): AppError {
    const path = trimmed(request.url);
    const matching = [...this.patterns.values()].filter((route) => route.path.test(path));
    // A literal name in the path has precedence over a parameter.
    const fewest = Math.min(...matching.map((route) => route.parameters));
    const methods = new Set(
      matching.filter((route) => route.parameters === fewest).flatMap((route) => [...route.methods]),
    );
    methods.delete('OPTIONS');
    if (methods.size === 0) return new AppError('not_found', 'There is nothing at this address.');
    return notAllowed(request.method, methods);
  }

  private literalsOf(url: string): readonly RoutePattern[] {
    let literals = this.literals.get(url);
    if (!literals) {
      const own = toPattern(url);
      literals = [...this.patterns.values()].filter(
        (pattern) => pattern.parameters < own.parameters && own.path.test(pattern.url.replace(/:/g, '')),
      );
      this.literals.set(url, literals);
    }
    return literals;
  }
}

function notAllowed(method: string, methods: ReadonlySet<string>): AppError {
  const allowed = [...methods].filter((one) => one !== 'OPTIONS').sort();
  return new AppError('method_not_allowed', `${method} is not possible here.`, {
    headers: { Allow: allowed.join(', ') },
  });
}

function trimmed(target: string): string {
  return pathOf(target).replace(/(?<=.)\/$/, '');
}

function toPattern(url: string): RoutePattern {
  const escaped = url.replace(/\/$/, '').replace(/[.*+?^${}()|[\]\\]/g, (c) => (c === '*' ? '.*' : `\\${c}`));
  // The catch-all for preflights is not a resource.
  const path = url === '*' ? /(?!)/ : new RegExp(`^${escaped.replace(/:[A-Za-z_]+/g, '[^/]+') || '/'}$`);
  return { url, methods: new Set(), path, parameters: url.split(':').length - 1 };
}

/** The application's own metadata of each route: its callers, its input, its responses. */
import { type INestApplication, RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import { DECORATORS } from '@nestjs/swagger';
import type { FastifyContextConfig } from 'fastify';
import { ROUTE_METADATA } from '../requests/caller';
import type { DeprecationNotice } from '../responses/deprecation';
import { IfMatch } from '../responses/conditional-requests';
import { Idempotent } from '../responses/idempotency';
import { DECLARATION, type DeclaredProblem, type Section } from './declarations';
import { ResourceId } from '../requests/resource-id.pipe';

/** The parts of a route that its description depends on. */
export interface Route {
  section?: Section;
  /** Open to callers without a credential, with or without a limit. */
  public?: 'limited' | 'unlimited';
  /** A public route that takes a session, too. */
  optionalCredential?: boolean;
  /** The required permission, or `signed-in`. */
  permission?: string;
  /** It serves a person, in any tenant or none. */
  person: boolean;
  /** It requires a fresh sign-in. */
  stepUp: boolean;
  bodyLimit?: number;
  produces?: string[];
  deprecation?: DeprecationNotice;
  idempotent: boolean;
  ifMatch: boolean;
  ifNoneMatch: boolean;
  /** A GET: no body is read. */
  reads: boolean;
  /** A PATCH, which also accepts the media type of a merge patch. */
  patches?: boolean;
  /** The resource that the id in the path names, such as `Report`. */
  resource?: string;
  problems: DeclaredProblem[];
}

interface RouteArgument {
  data?: unknown;
  factory?: unknown;
  pipes?: unknown[];
}

/** Every route of the application that the document shows, by its operation id. */
export function routesOf(app: INestApplication): Map<string, Route> {
  const routes = new Map<string, Route>();
  const scanner = new MetadataScanner();
  for (const module of app.get(ModulesContainer).values()) {
    for (const { metatype } of module.controllers.values()) {
      const controller = metatype as Type | null;
      if (!controller) continue;
      const prototype = controller.prototype as Record<string, object>;
      for (const name of scanner.getAllMethodNames(prototype)) {
        const handler = prototype[name] as object;
        const operation = Reflect.getMetadata(DECORATORS.API_OPERATION, handler) as
          { operationId?: string } | undefined;
        if (!Reflect.hasMetadata(METHOD_METADATA, handler)) continue;
        if (!operation?.operationId) throw new Error(`${controller.name}.${name} has no operation id`);
        if (routes.has(operation.operationId)) throw new Error(`two routes are called ${operation.operationId}`);
        routes.set(operation.operationId, routeOf(controller, name, handler));
      }
    }
  }
  return routes;
}

function routeOf(controller: Type, name: string, handler: object): Route {
  const of = (key: string): unknown => Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller);
  const config = of(FASTIFY_ROUTE_CONFIG_METADATA) as FastifyContextConfig | undefined;
  const read = argumentsOf(controller, name);
  const readsHeader = (header: string): boolean =>
    read.some(({ kind, data }) => kind === RouteParamtypes.HEADERS && String(data).toLowerCase() === header);
  const takes = (decorator: () => ParameterDecorator): boolean => {
    const wanted = factoryOf(decorator);
    return read.some(({ factory }) => factory !== undefined && factory === wanted);
  };
  const resource = read
    .flatMap(({ kind, pipes }) => (kind === RouteParamtypes.PARAM ? (pipes ?? []) : []))
    .find((pipe) => pipe instanceof ResourceId);
  return {
    section: of(DECLARATION.SECTION) as Section | undefined,
    public: of(ROUTE_METADATA.PUBLIC) as Route['public'],
    optionalCredential: config?.optionalCredential === true,
    permission: of(ROUTE_METADATA.PERMISSION) as string | undefined,
    person: of(ROUTE_METADATA.PERSON) !== undefined,
    stepUp: of(ROUTE_METADATA.STEP_UP) === true,
    bodyLimit: config?.bodyLimit,
    produces: config?.produces,
    deprecation: config?.deprecation,
    reads: Reflect.getMetadata(METHOD_METADATA, handler) === RequestMethod.GET,
    patches: Reflect.getMetadata(METHOD_METADATA, handler) === RequestMethod.PATCH,
    idempotent: takes(Idempotent),
    ifMatch: takes(IfMatch) || readsHeader('if-match'),
    ifNoneMatch: config?.conditional === true || readsHeader('if-none-match'),
    resource: resource && (Reflect.get(resource, 'resource') as string),
    problems: (of(DECLARATION.PROBLEMS) ?? []) as DeclaredProblem[],
  };
}

function argumentsOf(controller: Type, name: string): (RouteArgument & { kind: number })[] {
  const metadata = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, name) ?? {}) as Record<string, RouteArgument>;
  return Object.entries(metadata).map(([key, argument]) => ({ ...argument, kind: Number(key.split(':')[0]) }));
}

/** A parameter decorator of this service stores its function in the metadata of its method: this returns it. */
function factoryOf(decorator: () => ParameterDecorator): unknown {
  class Probe {
    method(_request: unknown): void {}
  }
  decorator()(Probe.prototype, 'method', 0);
  return argumentsOf(Probe, 'method')[0]?.factory;
}

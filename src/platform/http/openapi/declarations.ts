/**
 * Declarations of a feature for the OpenAPI document that the route's metadata do not determine: its section, its own
 * refusals, and messages that the service sends. The rest is derived, see `openapi.ts`.
 */
import { applyDecorators, SetMetadata, type Type } from '@nestjs/common';
import { ApiTags, type OpenAPIObject } from '@nestjs/swagger';
import type { ProblemCode } from '../../errors';

export type PathItem = OpenAPIObject['paths'][string];
export type Operation = NonNullable<PathItem['get']>;
export type Components = NonNullable<OpenAPIObject['components']>;
export type Schema = Exclude<NonNullable<Components['schemas']>[string], { $ref: string }>;
export type Response = Exclude<NonNullable<Components['responses']>[string], { $ref: string }>;
export type Parameter = Exclude<NonNullable<Components['parameters']>[string], { $ref: string }>;
export type Header = Exclude<NonNullable<Components['headers']>[string], { $ref: string }>;
export type Reference = { $ref: string };

/** A section of the document with a text of its own, shown before its routes. */
export interface Section {
  name: string;
  description: string;
}

/** A refusal of a route, with an example of its detail. */
export interface DeclaredProblem {
  code: ProblemCode;
  detail: string;
}

/**
 * Additions of a feature to the document besides its routes; called when the document is built, at its first request.
 * `messages` are sent by the service, by name; `models` are DTOs that only messages refer to;
 * `enums` are lists of values that have a name of their own wherever they stand.
 */
export type DocumentPart = () => {
  sections?: Section[];
  messages?: Record<string, PathItem>;
  models?: Type[];
  enums?: Record<string, { values: readonly string[]; description: string }>;
};

export const DECLARATION = { SECTION: 'openapi:section', PROBLEMS: 'openapi:problems' } as const;

/** Puts a controller's routes into a section of the document. */
export const ApiSection = (name: string, description: string): ClassDecorator =>
  applyDecorators(ApiTags(name), SetMetadata(DECLARATION.SECTION, { name, description } satisfies Section));

/** Adds a refusal that only this route has, or an example of a general one. */
export const ApiProblem =
  (code: ProblemCode, detail: string): MethodDecorator =>
  (_target, _name, descriptor) => {
    const handler = descriptor.value as object;
    const others = (Reflect.getMetadata(DECLARATION.PROBLEMS, handler) ?? []) as DeclaredProblem[];
    // Decorators run from the last to the first; the document keeps the order of the source.
    Reflect.defineMetadata(DECLARATION.PROBLEMS, [{ code, detail }, ...others], handler);
  };

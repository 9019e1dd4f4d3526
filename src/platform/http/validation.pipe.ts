import {
  type ArgumentMetadata,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type PipeTransform,
} from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { type ValidationError, validateSync } from 'class-validator';
import type { FastifyRequest } from 'fastify';
import { type FieldFault, MalformedRequest, ValidationFailed } from '../errors';
import { type CrossChecked, knownFields, Parsed } from './fields';
import { isJsonObject } from './json-body';

type Constructor = new () => object;

/** Faults of one request that are listed; the rest of a body that is wrong throughout says nothing new. */
const MAX_FAULTS = 100;

/**
 * Checks bodies and queries against their DTO and reports every fault at once (422): unknown fields, fields that break
 * a rule, and rules over several fields. Input that is bounded here costs bounded time: a list longer than its field
 * takes is not looked into.
 */
@Injectable()
export class RequestValidationPipe implements PipeTransform {
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    if (metadata.type !== 'body' && metadata.type !== 'query') return value;
    const dto = metadata.metatype as Constructor | undefined;
    if (!dto || (dto as unknown) === Object) return value;
    if (metadata.type === 'body' && value === undefined) throw new MalformedRequest('A JSON body is required.');
    return readDto(dto, value);
  }
}

/**
 * Reads a body that may be left out. The parameter it stands at has no class as its type: else the global pipe, which
 * comes first, would ask for a body.
 */
@Injectable()
export class OptionalBody implements PipeTransform {
  constructor(private readonly dto: Constructor) {}

  transform(value: unknown): object {
    return readDto(this.dto, value ?? {});
  }
}

class NoFields {}

/** Stands at a parameter of a route that takes no body: an empty object is as good as none, fields are refused. */
export const NoBody = createParamDecorator((_: unknown, context: ExecutionContext): void => {
  readDto(NoFields, context.switchToHttp().getRequest<FastifyRequest>().body ?? {});
});

/**
 * The value as its DTO.
 * @param more looks for faults that only a service can see; they are told together with all others
 * @throws ValidationFailed
 */
export function readDto<T extends object>(dto: new () => T, value: unknown, more?: (instance: T) => FieldFault[]): T {
  if (!isJsonObject(value)) {
    throw new ValidationFailed([{ field: '', message: 'must be an object', code: 'is_object' }]);
  }
  const faults: FieldFault[] = [];
  const known = strip(value, dto, '', faults);
  const instance = plainToInstance(dto, known);
  const options = { stopAtFirstError: true, validationError: { target: false, value: false } };
  // class-validator refuses a class without rules.
  const errors = fieldsOf(dto).size > 0 ? validateSync(instance, options) : [];
  for (const error of errors) flatten(error, '', faults);
  const { crossCheck } = instance as Partial<CrossChecked>;
  if (crossCheck) faults.push(...crossCheck.call(instance));
  if (more) faults.push(...more(instance));
  if (faults.length > 0) throw new ValidationFailed(unique(faults).slice(0, MAX_FAULTS));
  return instance;
}

/** The value with its known fields only; what is unknown becomes a fault. */
function strip(value: Record<string, unknown>, dto: Constructor, path: string, faults: FieldFault[]): object {
  const fields = fieldsOf(dto);
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const field = fields.get(name);
    const at = path + name;
    if (!field) {
      if (faults.length < MAX_FAULTS) {
        faults.push({ field: shown(at), message: 'is not a field of this request', code: 'unknown_field' });
      }
      continue;
    }
    const inner = value[name];
    result[name] = field.nested && Array.isArray(inner) ? stripList(inner, field.nested, at, faults) : opaque(inner);
  }
  return result;
}

/** A client's name for a field, made fit to be printed. */
function shown(name: string): string {
  return name.length > 200 ? `${name.slice(0, 200).replace(/[\ud800-\udbff]$/, '')}…` : name;
}

function opaque(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? new Parsed(value) : value;
}

function stripList(
  list: unknown[],
  nested: { type: Constructor; max: number },
  path: string,
  faults: FieldFault[],
): unknown[] {
  // Too long is one fault, found by the list's own rule, and no reason to read what is in it.
  if (list.length > nested.max) return new Array<object>(nested.max + 1).fill({});
  // What is no object becomes null: class-transformer would make one of a list.
  return list.map((entry, index) =>
    isJsonObject(entry) ? strip(entry, nested.type, `${path}.${index}.`, faults) : null,
  );
}

const cache = new WeakMap<Constructor, ReturnType<typeof knownFields>>();

function fieldsOf(dto: Constructor): ReturnType<typeof knownFields> {
  let fields = cache.get(dto);
  if (!fields) cache.set(dto, (fields = knownFields(dto)));
  return fields;
}

function flatten(error: ValidationError, path: string, faults: FieldFault[]): void {
  const field = path + error.property;
  const constraints = Object.entries(error.constraints ?? {});
  for (const [name, message] of constraints) faults.push({ field, message, code: codeOf(name) });
  // A list that breaks its own rule (too long) is one fault, not one for each of its entries.
  if (constraints.length === 0) for (const child of error.children ?? []) flatten(child, `${field}.`, faults);
}

function codeOf(constraint: string): string {
  return constraint.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function unique(faults: FieldFault[]): FieldFault[] {
  const seen = new Set<string>();
  return faults.filter((fault) => !seen.has(fault.field) && seen.add(fault.field));
}

import {
  type ArgumentMetadata,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type PipeTransform,
} from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import type { FastifyRequest } from 'fastify';
import { type FieldFault, MalformedRequest, ValidationFailed } from '../../errors';
import { type CompiledReader, compileReader } from './compiled-rules';
import { type CrossChecked, knownFields, Parsed } from './field-declaration';
import { isJsonObject } from './json-body';

type Constructor = new () => object;

/** Maximum number of listed faults. */
const MAX_FAULTS = 100;
const VALIDATION = { stopAtFirstError: true, validationError: { target: false, value: false } };

/**
 * Validates bodies and queries against their DTO and reports every fault at once (422): unknown fields, broken rules,
 * and rules over several fields. The time is bounded: a list beyond its maximum is not read, and reading stops at the
 * maximum number of faults.
 */
@Injectable()
export class RequestValidationPipe implements PipeTransform {
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    if (metadata.type !== 'body' && metadata.type !== 'query') return value;
    const dto = metadata.metatype as Constructor | undefined;
    if (!dto || (dto as unknown) === Object) return value;
    if (metadata.type === 'body' && value === undefined) throw new MalformedRequest('A JSON body is required.');
    return readDto(dto, metadata.type === 'query' ? withOffsets(dto, value) : value);
  }
}

const BARE_OFFSET = /^(\S+) (\d{2}:\d{2})$/;

/** A query whose times have their offsets: an unescaped `+` is a space by the rules of forms. */
function withOffsets(dto: Constructor, query: unknown): unknown {
  if (!isJsonObject(query)) return query;
  const read = { ...query };
  for (const [name, { time }] of planOf(dto).fields) {
    const value = read[name];
    if (time && typeof value === 'string') read[name] = value.replace(BARE_OFFSET, '$1+$2');
  }
  return read;
}

/** Reads an optional body. Its parameter has no class as its type, since the global pipe would then require a body. */
@Injectable()
export class OptionalBody implements PipeTransform {
  constructor(private readonly dto: Constructor) {}

  transform(value: unknown): object {
    return readDto(this.dto, value ?? {});
  }
}

class NoFields {}

/** For a parameter of a route without a body: an empty object is accepted, fields are refused. */
export const NoBody = createParamDecorator((_: unknown, context: ExecutionContext): void => {
  readDto(NoFields, context.switchToHttp().getRequest<FastifyRequest>().body ?? {});
});

/**
 * The value as its DTO.
 * @param more finds faults that depend on services; they are reported with all others
 * @throws ValidationFailed
 */
export function readDto<T extends object>(dto: new () => T, value: unknown, more?: (instance: T) => FieldFault[]): T {
  const faults: FieldFault[] = [];
  const instance = read(dto, value, '', faults) as T;
  if (more && instance) faults.push(...more(instance));
  if (faults.length > 0) throw new ValidationFailed(unique(faults).slice(0, MAX_FAULTS));
  if (typeof value === 'object' && value !== null) understood.set(value, instance);
  return instance;
}

const understood = new WeakMap<object, object>();

/**
 * A parsed body as its route has read it: two spellings of one request are equal. The body itself if no DTO read it.
 */
export function understoodBody(body: unknown): unknown {
  return typeof body === 'object' && body !== null ? (understood.get(body) ?? body) : body;
}

/** Reads an object and the lists of objects in it, until the maximum number of faults. */
function read(dto: Constructor, value: unknown, path: string, faults: FieldFault[]): object | undefined {
  if (!isJsonObject(value)) {
    faults.push({ field: path, message: 'must be an object', code: 'is_object' });
    return undefined;
  }
  const prefix = path === '' ? '' : `${path}.`;
  const { lists, accept } = planOf(dto);
  const instance = (accept(value) ?? readSlowly(dto, value, prefix, faults)) as Partial<CrossChecked> &
    Record<string, unknown>;
  for (const { name, nested } of lists) {
    const list = instance[name];
    // A list beyond its maximum is one fault; its items are not read.
    if (!Array.isArray(list) || list.length > nested.max) continue;
    instance[name] = list.map((entry, index) =>
      faults.length < MAX_FAULTS ? read(nested.type, entry, `${prefix}${name}.${index}`, faults) : undefined,
    );
  }
  if (instance.crossCheck && faults.length < MAX_FAULTS) {
    for (const fault of instance.crossCheck()) faults.push({ ...fault, field: prefix + fault.field });
  }
  return instance;
}

/** Reads the fields of an object that has a fault, by the libraries themselves, which have the words for it. */
function readSlowly(dto: Constructor, value: Record<string, unknown>, prefix: string, faults: FieldFault[]): object {
  const { fields } = planOf(dto);
  const known: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    if (fields.has(name)) {
      known[name] = opaque(value[name]);
    } else if (faults.length < MAX_FAULTS) {
      faults.push({ field: shown(prefix + name), message: 'is not a field of this request', code: 'unknown_field' });
    }
  }
  const instance = plainToInstance(dto, known);
  // class-validator refuses a class without rules.
  for (const error of fields.size > 0 ? validateSync(instance, VALIDATION) : []) {
    for (const [rule, message] of Object.entries(error.constraints ?? {})) {
      faults.push({ field: prefix + error.property, message, code: codeOf(rule) });
    }
  }
  return instance;
}

/** A client's field name made safe to print. */
function shown(name: string): string {
  return name.length > 200 ? `${name.slice(0, 200).replace(/[\ud800-\udbff]$/, '')}…` : name;
}

function opaque(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? new Parsed(value) : value;
}

/** The metadata of a DTO, computed once. */
interface Plan {
  fields: ReturnType<typeof knownFields>;
  lists: { name: string; nested: { type: Constructor; max: number } }[];
  accept: CompiledReader;
}

const plans = new WeakMap<Constructor, Plan>();

function planOf(dto: Constructor): Plan {
  let plan = plans.get(dto);
  if (!plan) {
    const fields = knownFields(dto);
    const lists = [...fields].flatMap(([name, { nested }]) => (nested ? [{ name, nested }] : []));
    plans.set(dto, (plan = { fields, lists, accept: compileReader(dto) }));
  }
  return plan;
}

function codeOf(constraint: string): string {
  return constraint.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function unique(faults: FieldFault[]): FieldFault[] {
  const seen = new Set<string>();
  return faults.filter((fault) => !seen.has(fault.field) && seen.add(fault.field));
}

/** Returns the body. @throws MalformedRequest without one */
export function requireBody(value: unknown): unknown {
  if (value === undefined) throw new MalformedRequest('A JSON body is required.');
  return value;
}

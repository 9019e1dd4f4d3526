import 'reflect-metadata';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import fc from 'fast-check';
import { compileReader } from '../../../../src/platform/http/requests/compiled-rules';
import { knownFields, Parsed } from '../../../../src/platform/http/requests/field-declaration';

type Constructor = new () => object;

const SOURCE = join(__dirname, '../../../../src');

/** All classes of requests in the house: those with fields. */
function requestClasses(): [string, Constructor][] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(dto|requests)\.ts$/.test(file),
  );
  return files.flatMap((file) =>
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- the files are found, not named
    Object.entries(require(join(SOURCE, file)) as Record<string, unknown>)
      .filter(([, one]) => typeof one === 'function' && /^class\b/.test(String(one)))
      .map(([name, one]): [string, Constructor] => [`${name} of ${file}`, one as Constructor])
      .filter(([, one]) => knownFields(one).size > 0),
  );
}

/** Reads as `validation.pipe.ts` does if the compiled way refuses. */
function readByLibraries(dto: Constructor, fields: Record<string, unknown>): object | undefined {
  const wrapped = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'object' && value !== null ? new Parsed(value) : value,
    ]),
  );
  const instance = plainToInstance(dto, wrapped);
  return validateSync(instance, { stopAtFirstError: true }).length === 0 ? instance : undefined;
}

const texts = fc.oneof(
  fc.string(),
  fc.uuid(),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.emailAddress(),
  fc.constantFrom(
    '',
    'USD',
    'eur',
    'XXX',
    'pending',
    'true',
    'false',
    '20',
    '0',
    '1e3',
    '2026-01-31T12:00:00Z',
    'x\u0000',
  ),
  fc.constantFrom('2026-01-31 12:00:00+02:00', 'orders:read', 'owner', 'https://receiver.example/hook', '10.0.0.0/8'),
  fc.integer({ min: 0, max: 3000 }).map((length) => '𝒳'.repeat(length)),
  fc.integer({ min: 0, max: 3000 }).map((length) => 'x'.repeat(length)),
);
const values = fc.oneof(
  { weight: 6, arbitrary: texts },
  { weight: 3, arbitrary: fc.oneof(fc.integer(), fc.constantFrom(0, 1, 2, 20, 100, 1000), fc.double()) },
  { weight: 1, arbitrary: fc.constantFrom(null, true, false, undefined) },
  { weight: 1, arbitrary: fc.oneof(fc.array(texts, { maxLength: 3 }), fc.dictionary(texts, texts, { maxKeys: 3 })) },
);

describe('compiled rules', () => {
  const classes = requestClasses();
  const accepted = new Set<Constructor>();

  it('are tried on the requests of the whole house', () => {
    expect(classes.length).toBeGreaterThan(25);
  });

  it.each(classes)('agree with the libraries: %s', (_, dto) => {
    const names = [...knownFields(dto).keys()];
    const compiled = compileReader(dto);
    const some = fc.record(Object.fromEntries(names.map((name) => [name, values])), { requiredKeys: [] });
    fc.assert(
      fc.property(some, (fields) => {
        const expected = readByLibraries(dto, fields);
        const actual = compiled(fields);
        // It may leave an unexpected object to the libraries, which then refuse it.
        if (actual === undefined) return void expect(expected).toBeUndefined();
        accepted.add(dto);
        expect(expected).toEqual(actual);
        expect(Object.getPrototypeOf(actual)).toBe(dto.prototype);
      }),
      { numRuns: 400 },
    );
  });

  it('were tried with requests that pass, too', () => {
    expect(accepted.size).toBeGreaterThan(20);
  });

  it('leave what is no field, and an object in the place of a text, to the libraries', () => {
    const [, dto] = classes.find(([name]) => name.startsWith('ChangeStatusDto')) as [string, Constructor];
    const compiled = compileReader(dto);
    expect(compiled({ status: 'confirmed' })).toEqual({ status: 'confirmed' });
    expect(compiled({ status: 'confirmed', more: 1 })).toBeUndefined();
    expect(compiled({ status: ['confirmed'] })).toBeUndefined();
    expect(compiled({ status: 'unheard-of' })).toBeUndefined();
    expect(compiled({})).toBeUndefined();
  });
});

import fc from 'fast-check';
import { timeOf } from '../../../../test/harness/timing';
import {
  InvalidNumber,
  InvalidText,
  MalformedJson,
  parseJsonBody,
  textFault,
  TooManyMembers,
  TooManyValues,
  toPlainNumbers,
  UnsafeNumber,
} from './json-body';

const parse = (text: string): unknown => parseJsonBody(Buffer.from(text));

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown');
}

const malformed = (body: string | Buffer): MalformedJson => {
  const error = thrownBy(() => parseJsonBody(Buffer.from(body as string)));
  expect(error).toBeInstanceOf(MalformedJson);
  return error as MalformedJson;
};

const faultsOf = (text: string): InvalidText['faults'] => {
  const error = thrownBy(() => parse(text));
  expect(error).toBeInstanceOf(InvalidText);
  return (error as InvalidText).faults;
};

/** The expected result, computed the slow way; throws errors with the right name. */
function reference(text: string): unknown {
  const fail = (name: string): never => {
    throw Object.assign(new Error(), { name });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('MalformedJson');
  }
  let members = 0;
  let badText = false;
  let badNumber = false;
  const visit = (node: unknown): void => {
    if (typeof node === 'string') badText ||= /\0|[\ud800-\udbff](?![\udc00-\udfff])/.test(node);
    if (typeof node === 'number') badNumber ||= !Number.isFinite(node);
    if (typeof node !== 'object' || node === null) return;
    if (!Array.isArray(node)) members += Object.keys(node).length;
    for (const [key, child] of Object.entries(node)) [key, child].forEach(visit);
  };
  visit(value);
  if (text.replace(/"(\\.|[^"\\])*"/g, '').split(':').length - 1 !== members) fail('MalformedJson');
  if (badText) fail('InvalidText');
  if (badNumber) fail('InvalidNumber');
  return value;
}

describe('parseJsonBody', () => {
  it('accepts all input that JSON.parse accepts', () => {
    const order =
      '{"items":[{"product_name":"Tëa \\"A\\" 東京 😀","quantity":2,"unit_price":29.99}],"notes":null,"a":-0}';
    expect(parse(order)).toEqual(JSON.parse(order));
    for (const text of ['1', '"a"', 'null', 'true', '[]', '{}', ' [ 1 , 2 ] \r\n\t'])
      expect(parse(text)).toEqual(JSON.parse(text));
  });

  describe('encoding', () => {
    it.each([
      ['a stray continuation byte', [0x22, 0x80, 0x22]],
      ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
      ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
      ['a code point out of range', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
      ['a cut sequence', [0x22, 0xe2, 0x82, 0x22]],
      ['UTF-16', [0xff, 0xfe, 0x7b, 0, 0x7d, 0]],
    ])('refuses %s', (_, bytes) => {
      expect(malformed(Buffer.from(bytes)).message).toBe('The body is not valid UTF-8');
    });

    it('refuses a byte order mark and an empty body', () => {
      expect(malformed('\ufeff{}').message).toBe('The body begins with a byte order mark');
      expect(malformed('').message).toBe('The body is empty');
    });
  });

  describe('grammar', () => {
    it.each([
      ['{"a" 1}', 5],
      ['{"a":1,}', 7],
      ['[1 2]', 3],
      ['{} x', 3],
      ['[01]', 2],
      ['"\u0001"', 1],
      ['"\\x"', 2],
      ['{a:1}', 1],
    ])('refuses %j and names the place', (text, position) => {
      const error = malformed(text);
      expect(error.position).toBe(position);
      expect(error.message).toMatch(new RegExp(`^The body is not valid JSON: .+ at position ${position}$`));
    });

    it.each([
      '',
      ' ',
      '{',
      '[',
      '"',
      '{"a":',
      'tru',
      'NaN',
      'undefined',
      '+1',
      '.5',
      '[1,]',
      "{'a':1}",
      '1e',
      '//',
      '"\\',
    ])('refuses %j', (text) => {
      malformed(text);
    });

    it('does not repeat the body to the client', () => {
      const secret = 'hunter2 in JSON at position 5';
      expect(malformed(`{"password": ${secret}`).message).toBe('The body is not valid JSON');
      expect(malformed(secret).message).toBe('The body is not valid JSON');
    });
  });

  describe('the members of one object', () => {
    const wide = (members: number): string => `{${Array.from({ length: members }, (_, i) => `"k${i}":1`).join()}}`;
    const tooMany = (text: string, max?: number): void =>
      expect(() => parseJsonBody(Buffer.from(text), max)).toThrow(TooManyMembers);

    it('are 1,000 at most, wherever the object is', () => {
      for (const [before, after] of [
        ['', ''],
        ['[0,', ',1]'],
        ['{"a":[{"b":', '}],"c":{}}'],
      ]) {
        expect(() => parse(before + wide(1_000) + after)).not.toThrow();
        tooMany(before + wide(1_001) + after);
      }
      expect(() => parse(`[${wide(900)},${wide(900)}]`)).not.toThrow();
      tooMany(`{${wide(900).slice(1, -1)},"x":{"y":1},${wide(200).slice(1, -1)}}`);
    });

    it('are counted before anything is parsed', () => {
      const text = wide(90_000);
      const parsing = timeOf(() => void JSON.parse(text));
      const counting = Array.from({ length: 20 }, () => timeOf(() => tooMany(text)));
      expect(Math.min(...counting)).toBeLessThan(parsing / 2);
    });

    it('are more on a route that declares it', () => {
      expect(() => parseJsonBody(Buffer.from(wide(10_000)), 10_000)).not.toThrow();
      tooMany(wide(10_001), 10_000);
    });

    it('that JSON does not allow are no way around', () => {
      tooMany(`]]}}${wide(1_001)}`);
    });
  });

  it('refuses a body that costs more than the largest batch', () => {
    expect(() => parse(`[${Array(110_000).fill('1').join()}]`)).not.toThrow();
    expect(() => parse(`[${Array(130_000).fill('1').join()}]`)).toThrow(TooManyValues);
    expect(() => parse(`[${Array.from({ length: 35_000 }, (_, i) => `{"a${i}":1}`).join()}]`)).toThrow(TooManyValues);
  });

  describe('depth', () => {
    const nested = (open: string, close: string, depth: number): string =>
      open.repeat(depth) + '1' + close.repeat(depth);

    it('allows 32 levels and no more', () => {
      for (const [open, close] of [
        ['[', ']'],
        ['{"a":', '}'],
      ] as const) {
        expect(() => parse(nested(open, close, 32))).not.toThrow();
        expect(malformed(nested(open, close, 33)).message).toBe('The body is nested deeper than 32 levels');
      }
      expect(() => parse(nested('[{"a":', '}]', 16))).not.toThrow();
      malformed(`[${nested('[{"a":', '}]', 16)}]`);
    });

    it('counts containers, not brackets in strings, and counts back', () => {
      expect(parse(JSON.stringify('['.repeat(100) + '\\"[{'))).toHaveLength(104);
      expect(parse(`[${Array(100).fill('[[]]').join()}]`)).toHaveLength(100);
    });

    it.each(['[', '{"a":', '[{"a":', '\\"[', '"[', ']['])('stands a mebibyte of %j', (piece) => {
      malformed(piece.repeat((1 << 20) / piece.length));
    });
  });

  describe('text', () => {
    it('names every string and key that is not text', () => {
      const text = String.raw`{"items":[{"product_name":"a\u0000"},{"product_name":"ok"},{"x":["\ud800"]}],"k\udfff":1,"notes":"\ude00\ud83d"}`;
      expect(faultsOf(text)).toEqual([
        { field: 'items.0.product_name', message: 'must not contain the NUL character', code: 'invalid_text' },
        { field: 'items.2.x.0', message: 'must be well-formed Unicode, without lone surrogates', code: 'invalid_text' },
        { field: 'k\ufffd', message: 'must be well-formed Unicode, without lone surrogates', code: 'invalid_text' },
        { field: 'notes', message: 'must be well-formed Unicode, without lone surrogates', code: 'invalid_text' },
      ]);
      expect(faultsOf('"\\u0000"')).toMatchObject([{ field: '' }]);
    });

    it('leaves other escapes alone', () => {
      expect(parse('["\\ud83d\\ude00","\\u0001\\n","\\\\u0000","\\\\ud800"]')).toEqual([
        '😀',
        '\u0001\n',
        '\\u0000',
        '\\ud800',
      ]);
    });

    it('does not let a client forge an UnsafeNumber', () => {
      expect(faultsOf('{"a":"\\u00001e5","b":1e5}')).toMatchObject([{ field: 'a' }]);
    });

    it('reports at most a hundred of many faults', () => {
      expect(faultsOf(`[${Array(5000).fill('"\\u0000"').join()}]`)).toHaveLength(100);
      expect(faultsOf(`{"${'k'.repeat(5000)}\\u0000":1}`)[0]!.field).toHaveLength(101);
    });
  });

  describe('keys', () => {
    it.each([
      ['{"a":1,"a":1}', 'a', 7],
      ['{"b":{"c":[{"x":1},{"x":1,"y":2,"x":3}]},"a":"a"}', 'x', 32],
      ['{"a":1,"\\u0061" : 2}', 'a', 7],
      ['{"__proto__":1,"__proto__":2}', '__proto__', 15],
      ['{"":1,"":2}', '', 6],
      ['{"0":1,"0":2}', '0', 7],
      ['{"a\\"":1,"a":0,"a\\"":1}', 'a"', 15],
      ['{"a":1e5,"a":1}', 'a', 9],
    ])('refuses the repeated key in %s', (text, key, position) => {
      const error = malformed(text);
      expect(error.message).toBe(`The key '${key}' appears twice in one object`);
      expect(error.position).toBe(position);
    });

    it('allows one key in several objects, as a value, and with a colon in it', () => {
      const text = '{"a":{"a":"a"},"b":["a","a",{"a":1},{"a":":::"}],"x:y":1}';
      expect(parse(text)).toEqual(JSON.parse(text));
    });

    it('keeps __proto__ as an own property, also beside and as an unsafe number', () => {
      for (const text of ['{"__proto__":{"admin":true}}', '{"__proto__":{"a":1},"n":1e5}', '{"__proto__":1e5}']) {
        for (const value of [parse(text), toPlainNumbers(parse(text))]) {
          expect(Object.keys(value as object)).toContain('__proto__');
          expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
        }
      }
      expect(Object.getOwnPropertyDescriptor(parse('{"__proto__":1e5}'), '__proto__')?.value).toEqual(
        new UnsafeNumber('1e5'),
      );
      expect(({} as { admin?: boolean }).admin).toBeUndefined();
    });
  });

  describe('numbers', () => {
    it.each([
      '1e2',
      '1E400',
      '-1e-7',
      '0e0',
      '1.5E+3',
      '1234567890123456',
      '-1234567890123456',
      '0.1234567890123456',
      '1.000000000000000',
      '1' + '0'.repeat(400),
    ])('keeps %s as its source', (source) => {
      for (const text of [source, ` ${source} `]) expect(parse(text)).toEqual(new UnsafeNumber(source));
      expect(parse(`{"ü":[${source},1],"b":${source}}`)).toEqual({
        ü: [new UnsafeNumber(source), 1],
        b: new UnsafeNumber(source),
      });
    });

    it.each([
      '0',
      '-0',
      '29.99',
      '123456789012345',
      '-0.123456789012345',
      '0.000000000000000001',
      '0.' + '0'.repeat(50),
    ])('keeps %s as a number', (source) => {
      expect(parse(`[${source}]`)).toEqual([Number(source)]);
    });

    it('decides by exponent and significant digits alone', () => {
      const token = fc.stringMatching(/^-?(0|[1-9]\d{0,17})(\.\d{1,18})?([eE][+-]?\d{1,3})?$/);
      fc.assert(
        fc.property(token, (source) => {
          const isSafe = !/e/i.test(source) && source.replace(/[-.]/g, '').replace(/^0+/, '').length <= 15;
          expect(parse(`{"a":[${source}]}`)).toEqual({ a: [isSafe ? Number(source) : new UnsafeNumber(source)] });
        }),
      );
    });

    it('leaves digits in strings and keys alone', () => {
      const text = '{"1e5":"1e5","\\"":"12345678901234567890","c":["\\\\",1]}';
      expect(parse(text)).toEqual(JSON.parse(text));
    });
  });

  it('agrees with JSON.parse on every value that is text', () => {
    const value = fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 });
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2, '\t'), (tree, indent) => {
        const text = JSON.stringify(tree, null, indent);
        fc.pre(!text.includes('\\u0000'));
        expect(toPlainNumbers(parse(text))).toStrictEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it('on any sequence of tokens gives the value that JSON.parse gives, or the one right refusal', () => {
    const piece = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ':',
        ',',
        '"a"',
        '"b"',
        '"',
        '\\',
        '\\u0000',
        '\\ud800',
        '"\\u0061"',
        '1',
        '-',
        '1e5',
        '1e400',
      ],
      ...[
        '12345678901234567',
        '.5',
        'true',
        'null',
        ' ',
        '\n',
        'ü',
        '😀',
        '{"a":',
        '"c":[',
        '}]',
        '"a":1,',
        '"__proto__":',
      ],
    );
    const member = fc
      .tuple(
        fc.constantFrom('"a"', '"b"', '"\\u0061"', '"\\ud800"', '"__proto__"'),
        fc.constantFrom('1', '{}', '1e400', '[1e5,"a:b"]', '"\\u0000"', '{"a":1}'),
      )
      .map((pair) => pair.join(':'));
    const text = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      fc.array(member, { maxLength: 4 }).map((members) => `{${members.join(' , ')}}`),
    );
    fc.assert(
      fc.property(text, (text) => {
        const outcome = (run: () => unknown): unknown => {
          try {
            return run();
          } catch (error) {
            return (error as Error).name;
          }
        };
        expect(outcome(() => toPlainNumbers(parse(text)))).toStrictEqual(outcome(() => reference(text)));
      }),
      { numRuns: 5000 },
    );
  });

  it('returns a value or an error of its own for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          parseJsonBody(Buffer.from(bytes));
        } catch (error) {
          expect(error instanceof MalformedJson || error instanceof InvalidText).toBe(true);
        }
      }),
    );
  });
});

describe('toPlainNumbers', () => {
  it('gives numbers back in place', () => {
    expect(toPlainNumbers(parse('{"a":1e2,"b":[0.12345678901234567,"1e2",null]}'))).toEqual({
      a: 100,
      b: [0.12345678901234567, '1e2', null],
    });
    expect(toPlainNumbers(parse('1e2'))).toBe(100);
  });

  it('names every number that is not finite', () => {
    const error = thrownBy(() => toPlainNumbers(parse('{"a":{"b":[1,-1e400]},"c":1e999,"d":1e-999}')));
    expect(error).toBeInstanceOf(InvalidNumber);
    expect((error as InvalidNumber).faults).toEqual([
      { field: 'a.b.1', message: 'is too large for a number', code: 'invalid_number' },
      { field: 'c', message: 'is too large for a number', code: 'invalid_number' },
    ]);
  });
});

describe('textFault', () => {
  it.each([
    ['', undefined, undefined],
    ['Grüße, 東京 😀\u2028\u00a0', undefined, undefined],
    ['a\tb\r\nc', 'control', undefined],
    ['a\u0000', 'NUL', 'NUL'],
    ['\u001b[31m', 'control', 'control'],
    ['\u007f', 'control', 'control'],
    ['\u0085', 'control', 'control'],
    ['\u009f', 'control', 'control'],
    ['\ud83d', 'surrogate', 'surrogate'],
    ['\ude00\ud83d', 'surrogate', 'surrogate'],
  ])('judges %j', (text, oneLine, lines) => {
    for (const [fault, word] of [
      [textFault(text, false), oneLine],
      [textFault(text, true), lines],
    ]) {
      if (word === undefined) expect(fault).toBeUndefined();
      else expect(fault).toContain(word);
    }
  });

  it('agrees with isWellFormed', () => {
    const units = fc.array(fc.integer({ min: 0xd700, max: 0xe100 })).map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(units, (text) => {
        expect(textFault(text, true) === undefined).toBe(
          (text as unknown as { isWellFormed(): boolean }).isWellFormed(),
        );
      }),
    );
  });
});

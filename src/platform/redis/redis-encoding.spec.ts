import { randomBytes } from 'node:crypto';
import { Command } from 'ioredis';
import { encodeAscii, useFastEncoding } from './redis-encoding';

const plain = Object.getOwnPropertyDescriptor(Command.prototype, 'toWritable') as PropertyDescriptor;

afterEach(() => Object.defineProperty(Command.prototype, 'toWritable', plain));

/** The bytes that ioredis itself writes. */
const written = (name: string, args: (string | number | Buffer)[]): Buffer =>
  Buffer.from(new Command(name, [...args]).toWritable({}));

const bytes = (length: number): Buffer => randomBytes(length);
const COMMANDS: [string, (string | number | Buffer)[]][] = [
  ['set', ['key', bytes(10)]],
  ['set', [bytes(0), '']],
  ['set', ['', Buffer.from('\r\n$3\r\nx')]],
  ['evalsha', ['a'.repeat(40), 14, ...Array.from({ length: 14 }, (_, n) => `{bull}:queue:${n}`), '7', bytes(300), '']],
  ['rpush', ['list', bytes(1), bytes(2), 'between', bytes(70_000), 'x'.repeat(70_000)]],
  ['get', [bytes(5)]],
];

it.each(COMMANDS)('encodes %s as ioredis does', (name, args) => {
  const text = args.map((arg) => (typeof arg === 'number' ? String(arg) : arg));
  expect(encodeAscii(name, text)?.equals(written(name, args))).toBe(true);
});

it.each(['é', '€', '😀', '\u0080', '\ud800', 'a\u2028b'])('leaves %j to ioredis, before bytes and after', (text) => {
  expect(encodeAscii('set', [text, bytes(3)])).toBeUndefined();
  expect(encodeAscii('set', [bytes(3), text])).toBeUndefined();
  expect(encodeAscii('set', [bytes(3), text, bytes(3)])).toBeUndefined();
});

it('replaces the encoding of commands with bytes alone, which ioredis marks by its private bufferMode', () => {
  // A release of ioredis without this mark would encode slowly again, and no response would differ.
  const ofIoredis = jest.fn(plain.value as Command['toWritable']);
  Object.defineProperty(Command.prototype, 'toWritable', { ...plain, value: ofIoredis });
  useFastEncoding();
  written('set', ['key', bytes(3)]);
  expect(ofIoredis).not.toHaveBeenCalled();
  written('set', ['key', 'value']);
  expect(ofIoredis).toHaveBeenCalledTimes(1);
});

it('encodes commands with bytes from then on, byte for byte as before', () => {
  const commands: [string, (string | number | Buffer)[]][] = [
    ...COMMANDS,
    ['set', ['ключ', bytes(3)]],
    ['set', ['key', 'value']],
  ];
  const before = commands.map(([name, args]) => written(name, args));
  useFastEncoding();
  expect(Command.prototype.toWritable).not.toBe(plain.value);
  expect(commands.map(([name, args]) => written(name, args))).toEqual(before);
});

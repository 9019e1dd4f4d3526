import { types } from 'pg';

const TIMES = [types.builtins.DATE, types.builtins.TIMESTAMP, types.builtins.TIMESTAMPTZ] as const;
/** Arrays of the three; pg has no names for them. */
const TIME_ARRAYS = [1182, 1115, 1185] as const;
const TEXT_ARRAY = 1009;

type Parser = (text: string) => unknown;

/**
 * Makes pg refuse a time that it cannot parse. Its own parser returns null, and a session whose end is null has ended.
 * A time cannot be parsed if `DateStyle` is not ISO.
 */
export function refuseUnreadableTimes(): void {
  const parseTextArray = types.getTypeParser(TEXT_ARRAY as never, 'text') as (text: string) => (string | null)[];
  TIMES.forEach((type, index) => {
    const parse: Parser = types.getTypeParser(type, 'text');
    const strict: Parser = (text) => {
      const time = parse(text);
      if (time === null) throw new Error(`database: cannot read the time '${text}': is DateStyle not ISO?`);
      return time;
    };
    types.setTypeParser(type, 'text', strict);
    types.setTypeParser(TIME_ARRAYS[index] as never, 'text', (text: string) =>
      parseTextArray(text).map((item) => (item === null ? null : strict(item))),
    );
  });
}

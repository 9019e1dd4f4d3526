import { Unavailable } from '../../errors';
import { translateDatabaseError } from './errors';

const ofServer = (code: string, message: string): Error => Object.assign(new Error(message), { code });

describe('translateDatabaseError', () => {
  it.each([
    ['XX000', 'failure on connection marked as essential: 127.0.0.1:5602'],
    ['XX000', 'could not find valid entry for shard 102068'],
  ])('makes an error of Citus that passes unavailable: %s %s', (code, message) => {
    expect(translateDatabaseError(ofServer(code, message))).toBeInstanceOf(Unavailable);
  });

  it('leaves another internal error as it is', () => {
    const error = ofServer('XX000', 'could not find tuple for trigger 16401');
    expect(translateDatabaseError(error)).toBe(error);
  });
});

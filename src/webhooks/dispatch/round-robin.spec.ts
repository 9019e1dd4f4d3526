import { RoundRobin } from './round-robin';

describe('RoundRobin', () => {
  it('visits unserved items first, and the others in the order of their last turn', () => {
    const robin = new RoundRobin<number>();
    for (const [index, key] of ['a', 'b', 'c', 'd'].entries()) robin.set(key, index);
    robin.moveToEnd('a');
    robin.moveToEnd('b');
    expect(robin.round().map(([key]) => key)).toEqual(['c', 'd', 'a', 'b']);
  });

  it('visits each item once per round, also when items are served meanwhile', () => {
    const robin = new RoundRobin<number>();
    for (const key of ['a', 'b', 'c']) robin.set(key, 0);
    const asked: string[] = [];
    for (const [key] of robin.round()) {
      asked.push(key);
      robin.moveToEnd(key);
    }
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('does not bring back a removed item', () => {
    const robin = new RoundRobin<number>();
    robin.set('a', 1);
    robin.delete('a');
    robin.moveToEnd('a');
    expect(robin.size).toBe(0);
  });
});

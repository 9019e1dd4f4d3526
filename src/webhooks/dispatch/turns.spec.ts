import { Turns } from './turns';

describe('Turns', () => {
  it('asks those first who were not served, and those served in the order of their turns', () => {
    const turns = new Turns<number>();
    for (const [index, key] of ['a', 'b', 'c', 'd'].entries()) turns.set(key, index);
    turns.served('a');
    turns.served('b');
    expect(turns.round().map(([key]) => key)).toEqual(['c', 'd', 'a', 'b']);
  });

  it('asks each once a round, whoever is served meanwhile', () => {
    const turns = new Turns<number>();
    for (const key of ['a', 'b', 'c']) turns.set(key, 0);
    const asked: string[] = [];
    for (const [key] of turns.round()) {
      asked.push(key);
      turns.served(key);
    }
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('does not bring back what was removed', () => {
    const turns = new Turns<number>();
    turns.set('a', 1);
    turns.delete('a');
    turns.served('a');
    expect(turns.size).toBe(0);
  });
});

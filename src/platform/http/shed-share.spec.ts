import { ShareOf, shedShare, StandingDelay } from './shed-share';

describe('the share that is turned away', () => {
  it('is none within the limit, and grows beyond it', () => {
    expect([0, 50, 100].map((delay) => shedShare(delay, 100))).toEqual([0, 0, 0]);
    expect([200, 400, 1_000].map((delay) => shedShare(delay, 100))).toEqual([0.5, 0.75, 0.9]);
  });

  it('is none where the limit is 0: turned off', () => {
    expect(shedShare(1e6, 0)).toBe(0);
  });

  it('settles in a few turns at as much load as was offered, and does not swing', () => {
    for (const load of [1.2, 2, 4]) {
      const standing = new StandingDelay();
      let turn = 100;
      const shares: number[] = [];
      // Each turn of the event loop does what arrived in the one before, but for what is turned away.
      for (let i = 0; i < 40; i++) {
        standing.add(turn);
        const share = shedShare(standing.value, 100);
        shares.push(share);
        turn = Math.max(1, load * turn * (1 - share));
      }
      const settled = shares.slice(20);
      expect(Math.max(...settled) - Math.min(...settled)).toBeLessThan(0.01);
      expect(settled[0]).toBeCloseTo(1 - 1 / load, 2);
    }
  });
});

describe('picking a share', () => {
  it('is even', () => {
    const share = new ShareOf();
    expect(Array.from({ length: 9 }, () => share.pick(0.25))).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => i % 4 === 0),
    );
  });

  it('of changing shares picks as many as they amount to', () => {
    const share = new ShareOf();
    let picked = 0;
    for (let i = 0; i < 10_000; i++) if (share.pick(i % 2 === 0 ? 0.9 : 0.3)) picked++;
    expect(picked).toBe(6_000);
  });
});

describe('a standing delay', () => {
  it('is none after a single pause', () => {
    const delay = new StandingDelay();
    const seen = [5, 300, 4, 200, 250, 3].map((sample) => {
      delay.add(sample);
      return delay.value;
    });
    expect(seen).toEqual([0, 5, 4, 4, 200, 3]);
  });
});

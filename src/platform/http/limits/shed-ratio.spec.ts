import { ShedRatio, shedRatio, SustainedDelay } from './shed-ratio';

describe('the share of refused requests', () => {
  it('is none within the limit, and grows beyond it', () => {
    expect([0, 50, 100].map((delay) => shedRatio(delay, 100))).toEqual([0, 0, 0]);
    expect([200, 400, 1_000].map((delay) => shedRatio(delay, 100))).toEqual([0.5, 0.75, 0.9]);
  });

  it('is none where the limit is 0: turned off', () => {
    expect(shedRatio(1e6, 0)).toBe(0);
  });

  it('settles in a few turns at as much load as was offered, and does not swing', () => {
    for (const load of [1.2, 2, 4]) {
      const sustained = new SustainedDelay(100, 0);
      let turn = 100;
      const shares: number[] = [];
      // Each turn of the event loop handles the arrivals of the previous one, except the refused ones.
      for (let i = 0; i < 40; i++) {
        sustained.add(turn, i);
        const share = sustained.ratio(i);
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
    const share = new ShedRatio();
    expect(Array.from({ length: 9 }, () => share.pick(0.25))).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => i % 4 === 0),
    );
  });

  it('of changing shares picks as many as they amount to', () => {
    const share = new ShedRatio();
    let picked = 0;
    for (let i = 0; i < 10_000; i++) if (share.pick(i % 2 === 0 ? 0.9 : 0.3)) picked++;
    expect(picked).toBe(6_000);
  });
});

describe('picking a share with a preference', () => {
  it('picks the preferred first, for the others too', () => {
    const share = new ShedRatio();
    const picked = { preferred: 0, others: 0 };
    for (let i = 0; i < 1_000; i++) {
      if (share.pick(0.5, true)) picked.preferred++;
      if (i % 4 === 0 && share.pick(0.5, false)) picked.others++;
    }
    expect(picked).toEqual({ preferred: 625, others: 0 });
  });

  it('picks the others too where the preferred are too few', () => {
    const share = new ShedRatio();
    let picked = 0;
    for (let i = 0; i < 1_000; i++) if (share.pick(0.5, false)) picked++;
    expect(picked).toBeGreaterThan(470);
    expect(picked).toBeLessThanOrEqual(500);
  });
});

describe('a sustained delay', () => {
  const sustained = (samples: [at: number, delay: number][], limit = 100): number[] => {
    const delay = new SustainedDelay(limit, 1_000);
    return samples.map(([at, sample]) => {
      delay.add(sample, at);
      return delay.ratio(at);
    });
  };

  it('refuses no request after a pause of any length, or in a burst that is served in time', () => {
    expect(
      sustained([
        [0, 5],
        [900, 900],
        [920, 3],
      ]),
    ).toEqual([0, 0, 0]);
    expect(
      sustained([
        [0, 5_000],
        [500, 3_000],
        [980, 200],
        [1_000, 50],
        [1_020, 200],
      ]),
    ).toEqual([0, 0, 0, 0, 0]);
  });

  it('turns a share away once it has stood above its limit, and none once it is below', () => {
    expect(
      sustained([
        [0, 200],
        [990, 200],
        [1_000, 200],
        [1_020, 400],
        [1_040, 100],
        [1_060, 400],
      ]),
    ).toEqual([0, 0, 0.5, 0.75, 0, 0]);
  });

  it('refuses no request without a limit', () => {
    expect(
      sustained(
        [
          [0, 200],
          [5_000, 200],
        ],
        0,
      ),
    ).toEqual([0, 0]);
  });
});

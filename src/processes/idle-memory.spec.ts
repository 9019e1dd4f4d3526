import { releaseMemoryWhenIdle } from './idle-memory';

describe('the memory of an idle process', () => {
  let utilization: number;
  const collect = jest.fn();

  beforeEach(() => {
    jest.useFakeTimers();
    jest.spyOn(performance, 'eventLoopUtilization').mockImplementation(() => ({ utilization, active: 0, idle: 0 }));
    collect.mockClear();
  });
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('is released after the start and after each busy time, by two collections each', () => {
    releaseMemoryWhenIdle(1_000, collect);
    const collections = [0.9, 0.01, 0.01, 0.01, 0.3, 0.2, 0.01, 0.01, 0.01].map((share) => {
      utilization = share;
      jest.advanceTimersByTime(1_000);
      return collect.mock.calls.length;
    });
    expect(collections).toEqual([0, 1, 2, 2, 2, 2, 3, 4, 4]);
  });
});

/** Preloaded (`node --require`): the wall clock of the process is off by `CLOCK_SKEW_MS`. Timers are not. */
const RealDate = Date;
const skew = Number(process.env.CLOCK_SKEW_MS);

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + skew);
    else super(...given);
  }
  static now() {
    return RealDate.now() + skew;
  }
};

/**
 * Preloaded (`node --require`): SIGUSR2 sets the wall clock of the process back by an hour, as NTP or a resumed virtual
 * machine does. `performance.now()` and timers continue, as on a real machine.
 */
const STEP_MS = 3_600_000;
const RealDate = Date;
let offset = 0;

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + offset);
    else super(...given);
  }
  static now() {
    return RealDate.now() + offset;
  }
};

process.on('SIGUSR2', () => {
  offset -= STEP_MS;
});

/** The time since an event, by the clock that shows more: neither clock runs during every pause of a machine. */
export class Age {
  private readonly monotonic: number;

  /** @param unixTime when it was, milliseconds of Unix time by the clock of this process; by default now */
  constructor(private readonly unixTime = new Date().getTime()) {
    this.monotonic = performance.now() - Math.max(0, new Date().getTime() - unixTime);
  }

  get milliseconds(): number {
    return Math.max(performance.now() - this.monotonic, new Date().getTime() - this.unixTime);
  }
}

import { isDeepStrictEqual } from 'node:util';
import type { Histogram, MetricValue, MetricValueWithName, Registry } from 'prom-client';

type Labels<L extends string> = Readonly<Record<L, string>>;

interface Series<L extends string> {
  labels: Labels<L>;
  /** Observations by bucket, not summed up; the last one is that of all larger values. */
  counts: Float64Array;
  sum: number;
}

/** Options of a {@link SeriesHistogram}, as those of prom-client's. */
export interface SeriesHistogramOptions {
  name: string;
  help: string;
  buckets: readonly number[];
  registers: readonly Registry[];
}

/**
 * A histogram for events of every request. prom-client's own looks the labels up by a text at each observation, which
 * costs more than the rest of a request's metrics; here an observer has its labels and counters. It is scraped like any
 * other.
 */
export class SeriesHistogram<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  private readonly buckets: readonly number[];
  private readonly series: Series<L>[] = [];

  constructor({ name, help, buckets, registers }: SeriesHistogramOptions) {
    this.name = name;
    this.help = help;
    this.buckets = buckets;
    for (const registry of registers) registry.registerMetric(this as unknown as Histogram);
  }

  /**
   * Adds a series, shown with zeros until its first observation; the observers of equal labels share one.
   * @returns the function that observes
   */
  observer(labels: Labels<L>): (value: number) => void {
    const { buckets } = this;
    const series = this.seriesOf(labels);
    return (value) => {
      let at = 0;
      while (at < buckets.length && value > (buckets[at] as number)) at++;
      (series.counts[at] as number)++;
      series.sum += value;
    };
  }

  private seriesOf(labels: Labels<L>): Series<L> {
    const known = this.series.find((one) => isDeepStrictEqual(one.labels, labels));
    if (known) return known;
    const series: Series<L> = { labels, counts: new Float64Array(this.buckets.length + 1), sum: 0 };
    this.series.push(series);
    return series;
  }

  /** Called by the registry at a scrape. */
  get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    return Promise.resolve({ name, help, type, aggregator, values: this.series.flatMap((one) => this.valuesOf(one)) });
  }

  /** The registry calls it when all metrics restart. */
  reset(): void {
    for (const one of this.series) {
      one.counts.fill(0);
      one.sum = 0;
    }
  }

  private valuesOf({ labels, counts, sum }: Series<L>): (MetricValue<string> | MetricValueWithName<string>)[] {
    let count = 0;
    const buckets = [...this.buckets, '+Inf'].map((le, at) => {
      count += counts[at] as number;
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }
}

/** One line of Prometheus's text format. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\[\\\\"n])*)"';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{((?:${LABEL},?)*)\\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|Nan|[+-]Inf)$`);
const COMMENT = new RegExp(`^# (?:HELP|TYPE) (${NAME}) .+$`);

/** Reads a scrape as Prometheus would. @throws for a line it would refuse, and for a series that is there twice */
export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = [];
  const seen = new Set<string>();
  for (const line of text.split('\n')) {
    if (line === '' || COMMENT.test(line)) continue;
    const match = SAMPLE.exec(line);
    if (!match) throw new Error(`not of Prometheus's format: ${line}`);
    const [, name = '', labelText = '', , , valueText = ''] = match;
    const labels = [...labelText.matchAll(new RegExp(LABEL, 'g'))].map(([, label, value]) => [label, value]);
    const key = `${name}${JSON.stringify(labels.sort())}`;
    if (seen.has(key)) throw new Error(`a series is there twice: ${line}`);
    seen.add(key);
    const value = Number(valueText.replace('Inf', 'Infinity'));
    samples.push({ name, labels: Object.fromEntries(labels) as Record<string, string>, value });
  }
  return samples;
}

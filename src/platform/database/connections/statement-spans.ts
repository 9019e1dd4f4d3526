import type { TraceContext } from '../../observability/trace-context';
import { type TraceSpan, traced, type Tracing } from '../../observability/tracing';
import { sqlState } from '../sql/errors';

/** Spans of database round trips, named after their statements. Values never enter a span. */
export class StatementSpans {
  constructor(
    private readonly tracing: Tracing,
    private readonly database: string,
  ) {}

  /** Runs a round trip of these statements as a span of the current request. */
  around<T>(statements: readonly { name: string; summary?: string }[], work: () => Promise<T>): Promise<T> {
    if (!this.tracing.isOn) return work();
    return traced(this.tracing, (parent) => this.begin(statements, parent), work, errorType);
  }

  private begin(
    statements: readonly { name: string; summary?: string }[],
    parent: TraceContext,
  ): TraceSpan | undefined {
    const summary = statements.map((statement) => statement.summary ?? statement.name).join(' ');
    return this.tracing.start(summary, {
      kind: 'client',
      parent,
      attributes: { 'db.system.name': 'postgresql', 'db.namespace': this.database, 'db.query.summary': summary },
    });
  }
}

function errorType(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause;
  return sqlState(cause) ?? sqlState(error) ?? (error as Error).name;
}

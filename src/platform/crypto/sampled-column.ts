/** Injection token of the {@link SampledColumn}s. */
export const SAMPLED_COLUMNS = Symbol('SAMPLED_COLUMNS');

/** An encrypted column with values that a key can be tried on. */
export interface SampledColumn {
  readonly table: string;
  /** The columns that form the context of a value. */
  readonly key: readonly string[];
  readonly column: string;
  contextOf(key: readonly string[]): string;
}

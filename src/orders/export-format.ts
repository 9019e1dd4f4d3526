import { AppError } from '../platform/errors';
import { namesProblems, preferredType } from '../platform/http/requests/accept';

export const EXPORT_FORMATS = ['ndjson', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** The media type of each format. */
export const MEDIA_TYPES: Record<ExportFormat, string> = {
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
};

/** The media types that select each format. Lines of JSON have no registered type, so clients of JSON get them. */
const TYPES: Record<ExportFormat, readonly string[]> = {
  ndjson: ['application/x-ndjson', 'application/json'],
  csv: ['text/csv'],
};

/**
 * The format of an export: the requested one, otherwise the one that `Accept` prefers.
 * @throws AppError `not_acceptable` if the two contradict each other
 */
export function exportFormat(asked: ExportFormat | undefined, accept: string | undefined): ExportFormat {
  const possible = asked === undefined ? EXPORT_FORMATS : [asked];
  const types = possible.flatMap((format) => TYPES[format]);
  const type = preferredType(accept, types);
  const format = possible.find((one) => type !== undefined && TYPES[one].includes(type));
  if (format) return format;
  if (accept !== undefined && namesProblems(accept)) return possible[0] as ExportFormat;
  throw new AppError('not_acceptable', `The format ${asked} is ${types.join(' or ')}, which Accept refuses.`);
}

import type { FieldFault } from '../../platform/errors';
import { InvalidText, isJsonObject, toPlainNumbers } from '../../platform/http/requests/json-body';

/** Faults in the numbers and the length of an object that is stored as it was sent. Makes its numbers plain. */
export function jsonFaults(field: string, value: unknown, maxKib: number): FieldFault[] {
  if (!isJsonObject(value)) return [];
  try {
    toPlainNumbers(value);
  } catch (error) {
    if (!(error instanceof InvalidText)) throw error;
    return error.faults.map((fault) => ({ ...fault, field: `${field}.${fault.field}` }));
  }
  if (Buffer.byteLength(JSON.stringify(value)) <= maxKib * 1024) return [];
  return [{ field, message: `must be at most ${maxKib} KiB of JSON`, code: 'max_bytes' }];
}

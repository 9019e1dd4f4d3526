import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { NotFound } from '../../errors';
import { isUuid } from './text-formats';

/** Reads an id in a path. A malformed id gets 404, like an unknown one. */
@Injectable()
export class ResourceId implements PipeTransform<string, string> {
  constructor(private readonly resource: string) {}

  transform(value: string, _metadata: ArgumentMetadata): string {
    const id = value.toLowerCase();
    if (!isUuid(id)) throw new NotFound(this.resource, value.replace(/[^\x20-\x7e]/g, '?'));
    return id;
  }
}

import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { NotFound } from '../../errors';
import { isUuid } from './fields';

/** Reads an id in a path. What cannot be an id names nothing: 404, as for one that does not exist. */
@Injectable()
export class ResourceId implements PipeTransform<string, string> {
  constructor(private readonly resource: string) {}

  transform(value: string, _metadata: ArgumentMetadata): string {
    const id = value.toLowerCase();
    if (!isUuid(id)) throw new NotFound(this.resource, value.replace(/[^\x20-\x7e]/g, '?'));
    return id;
  }
}

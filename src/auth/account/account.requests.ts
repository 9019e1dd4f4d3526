import { ApiSchema } from '@nestjs/swagger';
import { NameField } from '../../platform/http/requests/fields';

@ApiSchema({ description: 'A change of the own account.' })
export class UpdateMeDto {
  @NameField({ description: "The person's name; null for none.", max: 200, example: 'Ada Lovelace', nullable: true })
  name?: string | null;
}

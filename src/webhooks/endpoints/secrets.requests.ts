import { ApiSchema } from '@nestjs/swagger';
import { IntegerField } from '../../platform/http/requests/fields';

const DAY = 86_400;

@ApiSchema({ description: 'How a secret is rotated.' })
export class RotateSecretDto {
  @IntegerField({
    description:
      'How long messages are signed with the old secret too, seconds: 0 to 7 days. A secret that was still signing ' +
      'from an earlier rotation ends now.',
    min: 0,
    max: 7 * DAY,
    optional: true,
    default: DAY,
    example: DAY,
  })
  overlap_seconds: number = DAY;
}

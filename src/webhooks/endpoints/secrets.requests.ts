import { ApiSchema } from '@nestjs/swagger';
import { IntegerField } from '../../platform/http/requests/fields';

const DAY = 86_400;

@ApiSchema({ description: 'The rotation of a secret.' })
export class RotateSecretDto {
  @IntegerField({
    description:
      'The time in which the old secret also signs, seconds: 0 to 7 days. A secret that was still signing ' +
      'from an earlier rotation ends now.',
    min: 0,
    max: 7 * DAY,
    optional: true,
    default: DAY,
    example: DAY,
  })
  overlap_seconds: number = DAY;
}

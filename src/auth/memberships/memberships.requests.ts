import { ApiSchema } from '@nestjs/swagger';
import { NameField, UuidField } from '../../platform/http/requests/fields';
import { ID } from './memberships.views';

@ApiSchema({ description: 'A tenant of the person.' })
export class SwitchTenantDto {
  @UuidField({ description: 'The tenant to act in.', example: ID })
  tenant_id: string;
}

@ApiSchema({ description: 'A company.' })
export class CreateTenantDto {
  @NameField({ description: "The company's name.", max: 200, example: 'Analytical Engines Ltd' })
  name: string;
}

import { type ApiPropertyOptions, ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import type { CrossChecked } from '../../platform/http/requests/field-declaration';
import { NameField, ValueField } from '../../platform/http/requests/fields';
import { type Policies, policyFaults } from './policies';
import { POLICY_SCHEMAS } from './company.views';

@ApiSchema({ description: 'Omitted fields stay as they are, in `policies` too.' })
export class UpdateTenantDto implements CrossChecked {
  @NameField({ description: "The company's name.", max: 200, optional: true, example: 'Analytical Engines Ltd' })
  name?: string;

  @ValueField({
    description: 'For owners. A change that would lock out its own author is refused.',
    optional: true,
    example: { second_factor: 'required', second_factor_grace_days: 14 },
    api: { type: 'object', properties: POLICY_SCHEMAS } as ApiPropertyOptions,
  })
  policies?: Partial<Policies>;

  crossCheck(): FieldFault[] {
    return this.policies === undefined ? [] : policyFaults(this.policies);
  }
}

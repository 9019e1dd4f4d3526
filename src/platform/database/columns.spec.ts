import { Column, Entity, PrimaryColumn } from 'typeorm';
import { columnsOf } from './columns';
import { Versioned } from './versioned';

@Entity('things')
class Thing extends Versioned {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  @Column('text')
  name: string;
}

describe('the columns of an entity', () => {
  it('are selected by their names in the entity, those of its base class too', () => {
    expect(columnsOf(Thing).split(', ').sort()).toEqual([
      'created_at as "createdAt"',
      'name',
      'tenant_id as "tenantId"',
      'updated_at as "updatedAt"',
      'version',
    ]);
  });

  it('are those of an entity alone', () => {
    expect(() => columnsOf(class None {})).toThrow('None is no entity');
  });
});

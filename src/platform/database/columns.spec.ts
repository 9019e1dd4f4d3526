import { Column, Entity, PrimaryColumn } from 'typeorm';
import { archivedOf, columnsOf, jsonOf, rowsOf } from './columns';
import { Versioned } from './versioned';

@Entity('things')
class Thing extends Versioned {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  @Column('text')
  name: string;

  @Column('numeric', { name: 'unit_price' })
  unitPrice: string;

  @Column('jsonb')
  tags: string[];

  @Column('text', { nullable: true })
  notes: string | null;
}

describe('the columns of an entity', () => {
  it('are selected by their names in the entity, those of its base class too', () => {
    expect(columnsOf(Thing).split(', ').sort()).toEqual([
      'created_at as "createdAt"',
      'name',
      'notes',
      'tags',
      'tenant_id as "tenantId"',
      'unit_price as "unitPrice"',
      'updated_at as "updatedAt"',
      'version',
    ]);
    expect(columnsOf(Thing, 't')).toContain('t.name, t.unit_price as "unitPrice", t.tags');
  });

  it('become the members of a JSON object in their declared order, without the tenant', () => {
    expect(jsonOf(Thing, 't')).toEqual({
      name: `coalesce(to_json(t.name)::text, 'null')`,
      unit_price: `'"' || t.unit_price || '"'`,
      tags: 't.tags',
      notes: `coalesce(to_json(t.notes)::text, 'null')`,
      version: 't.version',
      created_at: expect.stringContaining('to_char(t.created_at'),
      updated_at: expect.stringContaining('to_char(t.updated_at'),
    });
    expect(Object.keys(jsonOf(Thing, 't')).slice(0, 2)).toEqual(['name', 'unit_price']);
    expect(archivedOf(Thing)).toEqual([
      'name',
      'unit_price::text',
      'tags',
      'notes',
      'version',
      'created_at',
      'updated_at',
    ]);
  });

  it('become the columns and values of an INSERT', () => {
    const at = new Date(0);
    const thing = { name: 'a', unitPrice: '1.50', tags: ['x'], notes: null, version: 1, createdAt: at, updatedAt: at };
    const { columns, rows } = rowsOf(Thing, [thing]);
    expect(Object.entries(columns).slice(0, 4)).toEqual([
      ['name', 'text'],
      ['unit_price', 'numeric'],
      ['tags', 'jsonb'],
      ['notes', 'text'],
    ]);
    expect(rows).toEqual([['a', '1.50', '["x"]', null, 1, at, at]]);
  });

  it('are those of an entity alone', () => {
    expect(() => columnsOf(class None {})).toThrow('None is no entity');
  });
});

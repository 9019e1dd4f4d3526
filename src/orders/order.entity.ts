import { Column, Entity, PrimaryColumn } from 'typeorm';
import { Versioned } from '../platform/database/versioned';
import type { OrderStatus } from './order-status';

/** An order of a tenant's customer. Amounts are decimal strings with the currency's minor units. */
@Entity('orders')
export class Order extends Versioned {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  /** UUIDv7; its time is `createdAt`. */
  @PrimaryColumn('uuid')
  id: string;

  @Column('uuid', { name: 'customer_id' })
  customerId: string;

  @Column('text')
  status: OrderStatus;

  @Column('numeric', { name: 'total_amount' })
  totalAmount: string;

  @Column('text')
  currency: string;

  @Column('text', { nullable: true })
  notes: string | null;

  @Column('jsonb')
  metadata: Record<string, string>;
}

import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A line of an order, at its place. */
@Entity('order_items')
export class OrderItem {
  @PrimaryColumn('uuid', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('uuid', { name: 'order_id' })
  orderId: string;

  /** From 0, in the order the items were sent. */
  @PrimaryColumn('smallint')
  position: number;

  @Column('uuid')
  id: string;

  @Column('text', { name: 'product_id' })
  productId: string;

  @Column('text', { name: 'product_name' })
  productName: string;

  @Column('integer')
  quantity: number;

  @Column('numeric', { name: 'unit_price' })
  unitPrice: string;
}

import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  Tree,
  TreeChildren,
  TreeParent,
} from "typeorm";
import { Cached, CacheKey } from "typeorm-coherent";
import { openShop, type Surroundings } from "../open-shop";

@Entity()
export class Shop {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
@Cached()
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @CacheKey() @Column({ default: 0 }) shelf!: number;
  @Column({ default: 0 }) price!: number;
  @DeleteDateColumn() deletedAt!: Date | null;
}

@Entity()
@Cached()
export class Offer {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shop, { onDelete: "CASCADE" }) shop!: Shop;
}

@Entity()
export class Role {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
@Cached()
export class User {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToMany(() => Role) @JoinTable() roles!: Role[];
}

@Entity()
@TableInheritance({ column: { type: "varchar", name: "kind" } })
export class Animal {
  @PrimaryGeneratedColumn() id!: number;
}

@ChildEntity()
export class Cat extends Animal {
  @Column() lives!: number;
}

@Entity()
@Tree("closure-table")
@Cached()
export class Node {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @TreeParent({ onDelete: "CASCADE" }) parent!: Node | null;
  @TreeChildren() children!: Node[];
}

@Entity()
@Cached()
export class Vehicle {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
}

@Entity("truck")
@Cached()
export class Lorry {
  @PrimaryColumn() id!: number;
  @OneToOne(() => Vehicle, { onDelete: "CASCADE" }) @JoinColumn({ name: "id" }) vehicle!: Vehicle;
}

export async function setUp(surroundings: Surroundings) {
  const all = [Product, Shop, Offer, Role, User, Animal, Cat, Node, Vehicle, Lorry];
  const shop = await openShop(surroundings, all);
  const { dataSource } = shop;
  const product = await dataSource.getRepository(Product).save({ sku: "X-1" });
  await dataSource.getRepository(Product).save({ sku: "X-2", shelf: 2 });
  await dataSource.getRepository(Shop).insert({});
  await dataSource.getRepository(Role).insert([{}, {}]);
  const [parent, node] = await dataSource.getRepository(Node).save([{ name: "root" }, { name: "other" }]);
  return {
    ...shop,
    product,
    parent,
    node: node as Node,
    products: shop.repositoryOf(Product),
    shops: dataSource.getRepository(Shop),
    users: shop.repositoryOf(User),
    cats: dataSource.getRepository(Cat),
    trees: shop.repositoryOf(Node),
    vehicles: shop.repositoryOf(Vehicle),
  };
}

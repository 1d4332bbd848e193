import {
  AfterLoad,
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  EventSubscriber,
  ManyToOne,
  OneToMany,
  PrimaryGeneratedColumn,
  UpdateDateColumn,
  VersionColumn,
  type EntitySubscriberInterface,
  type LoadEvent,
} from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";

/** Two levels of embedding, with a listener of its own. */
export class Geo {
  @Column({ type: "double precision", nullable: true }) lat!: number | null;
  @Column({ type: "double precision", nullable: true }) lng!: number | null;
}

export class Address {
  @Column({ type: "varchar", nullable: true }) street!: string | null;
  @Column(() => Geo) geo!: Geo;
  /** Not a column. */
  label?: string;

  @AfterLoad() makeLabel(): void {
    this.label = `${this.street ?? "nowhere"} (${this.geo?.lat ?? "?"})`;
  }
}

export class Name {
  @CacheKey() @Column({ length: 50 }) first!: string;
  @Column({ type: "varchar", nullable: true }) last!: string | null;
}

@Entity()
@Cached({ strategy: "write-through" })
export class Team {
  @PrimaryGeneratedColumn() id!: number;
  @Column() title!: string;
  @OneToMany(() => Person, (person) => person.team) people!: Promise<Person[]>;
}

/** Has, besides columns of its own name and type, everything that TypeORM does on the way from a row to an entity. */
@Entity()
@Cached({ strategy: "write-through" })
export class Person {
  static loads = 0;
  static asyncLoads = 0;

  @PrimaryGeneratedColumn() id!: number;
  @Column(() => Name) name!: Name;
  @Column(() => Address, { prefix: "home" }) address!: Address;
  @CacheKey() @Column({ name: "e_mail", type: "varchar", unique: true, nullable: true }) email!: string | null;
  @Column({ type: "varchar", select: false, nullable: true }) secret?: string | null;
  @CacheKey() @Column({ default: 7 }) age!: number;
  @Column({
    type: "int",
    asExpression: "age * 2",
    generatedType: "STORED",
    insert: false,
    update: false,
    nullable: true,
  })
  readonly doubleAge!: number;
  @Column({ type: "json", nullable: true }) tags!: string[] | null;
  @VersionColumn() version!: number;
  @CreateDateColumn() createdAt!: Date;
  @UpdateDateColumn({ precision: 3 }) updatedAt!: Date;
  @DeleteDateColumn() deletedAt!: Date | null;
  @ManyToOne(() => Team, (team) => team.people, { lazy: true, nullable: true }) team!: Promise<Team | null>;

  /** Neither a column nor set by a listener. */
  mood = "from the class";
  #secretive = 1;

  get display(): string {
    return `${this.name.first} ${this.#secretive}`;
  }

  /** Changes in place what the driver has returned. */
  @AfterLoad() tagged(): void {
    Person.loads += 1;
    this.tags?.push("loaded");
  }

  @AfterLoad() async taggedLater(): Promise<void> {
    await Promise.resolve();
    Person.asyncLoads += 1;
    this.mood += ", awaited";
  }
}

/** Sees every person that is loaded, and leaves a mark. */
@EventSubscriber()
export class PersonSubscriber implements EntitySubscriberInterface<Person> {
  static seen: { readonly entity: Person; readonly table: string | undefined }[] = [];

  listenTo(): typeof Person {
    return Person;
  }

  afterLoad(entity: Person, event?: LoadEvent<Person>): void {
    PersonSubscriber.seen.push({ entity, table: event?.metadata.tableName });
    Object.assign(entity, { seenBySubscriber: true });
  }
}

import {
  BaseEntity,
  AfterLoad,
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  Index,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  RelationId,
  Tree,
  TreeChildren,
  TreeParent,
  VersionColumn,
  type DataSource,
} from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";

// A library with every kind of relation: what reads join, and what writes of one table do to the reads of another.

@Entity()
@Cached()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Index({ unique: true }) @CacheKey() @Column({ length: 40 }) name!: string;
  @Column({ default: 0 }) born!: number;
  @OneToMany(() => Book, (book) => book.author) books!: Book[];
  /** Loaded when it is awaited. */
  @OneToMany(() => Book, (book) => book.editor) edited!: Promise<Book[]>;
}

export class Measures {
  @Column({ default: 1 }) pages!: number;
  @Column({ type: "float", nullable: true }) weight!: number | null;
}

@Entity()
@Cached()
export class Book {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ length: 40 }) title!: string;
  @CacheKey() @Column({ default: 1 }) shelf!: number;
  @Column(() => Measures) size!: Measures;
  @ManyToOne(() => Author, (author) => author.books, { onDelete: "CASCADE" }) author!: Author | null;
  @Column({ nullable: true }) @CacheKey() authorId!: number | null;
  @ManyToOne(() => Author, (author) => author.edited, { onDelete: "SET NULL" }) editor!: Promise<Author | null>;
  @OneToOne(() => Cover, (cover) => cover.book, { eager: true }) cover!: Cover | null;
  @ManyToMany(() => Topic, (topic) => topic.books) @JoinTable() topics!: Topic[];
  @DeleteDateColumn() deletedAt!: Date | null;
  @VersionColumn() version!: number;
  @CreateDateColumn() madeAt!: Date;
  @RelationId((book: Book) => book.topics) topicIds!: number[];
  loads?: number;
  @AfterLoad() count(): void {
    this.loads = (this.loads ?? 0) + 1;
  }
}

@Entity()
export class Cover {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ length: 20 }) colour!: string;
  @OneToOne(() => Book, (book) => book.cover, { onDelete: "CASCADE" }) @JoinColumn() book!: Book;
}

@Entity()
export class Topic {
  @PrimaryColumn({ length: 20 }) code!: string;
  @Column({ default: "" }) label!: string;
  @ManyToMany(() => Book, (book) => book.topics) books!: Book[];
}

@Entity()
@Tree("closure-table")
@Cached()
export class Place {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ length: 20 }) name!: string;
  @TreeParent({ onDelete: "CASCADE" }) parent!: Place | null;
  @TreeChildren() children!: Place[];
}

/** Active record. */
@Entity()
@Cached()
export class Note extends BaseEntity {
  @PrimaryGeneratedColumn() id!: number;
  @Column() @CacheKey() about!: number;
  @Column() text!: string;
}

/** Of no cached entity, and no relation leads to it. */
@Entity()
export class Visit {
  @PrimaryGeneratedColumn() id!: number;
  @Column() door!: number;
}

export const LIBRARY = [Author, Book, Cover, Topic, Place, Note, Visit];

/** Empties the tables and puts a few rows in, with ids from 1. */
export async function fillLibrary(dataSource: DataSource): Promise<void> {
  const { manager } = dataSource;
  await manager.getRepository(Topic).save(["sea", "war", "art"].map((code) => ({ code, label: code.toUpperCase() })));
  await manager.getRepository(Author).save([
    { id: 1, name: "Ada", born: 1815 },
    { id: 2, name: "Bob", born: 1900 },
    { id: 3, name: "Cay", born: 1950 },
  ]);
  const topics = (...codes: string[]) => codes.map((code) => ({ code }));
  for (const book of [
    { id: 1, title: "Anchors", shelf: 1, authorId: 1, size: { pages: 10 }, topics: topics("sea") },
    { id: 2, title: "Battles", shelf: 1, authorId: 1, size: { pages: 20, weight: 1.5 }, topics: topics("sea", "war") },
    { id: 3, title: "Colours", shelf: 2, authorId: 2, size: { pages: 30 }, topics: topics("art") },
    { id: 4, title: "Dunes", shelf: 2, authorId: null, size: { pages: 40 }, topics: [] },
  ]) {
    await manager.getRepository(Book).save(book as never);
  }
  await manager.createQueryBuilder().relation(Book, "editor").of(3).set(1);
  await manager.getRepository(Cover).save([
    { id: 1, colour: "red", book: { id: 1 } },
    { id: 2, colour: "blue", book: { id: 3 } },
  ]);
  const places = manager.getTreeRepository(Place);
  const house = await places.save({ name: "house" });
  const hall = await places.save({ name: "hall", parent: house });
  await places.save({ name: "shelf", parent: hall });
  await places.save({ name: "garden" });
  await manager.getRepository(Note).save([
    { about: 1, text: "good" },
    { about: 1, text: "long" },
    { about: 2, text: "loud" },
  ]);
  await manager.getRepository(Visit).save({ door: 1 });
}

/** The kind of file that a migration goes into. */
export type MigrationFormat = "typescript" | "commonjs" | "module";

interface Statements {
  readonly up: readonly string[];
  readonly down: readonly string[];
}

/**
 * A migration of TypeORM that runs these statements.
 *
 * @param name of the class; TypeORM wants 13 digits at its end
 */
export function migrationText(format: MigrationFormat, name: string, { up, down }: Statements): string {
  const isTyped = format === "typescript";
  const method = (of: "up" | "down", statements: readonly string[]) => [
    `  ${isTyped ? "public " : ""}async ${of}(queryRunner${isTyped ? ": QueryRunner" : ""})${isTyped ? ": Promise<void>" : ""} {`,
    ...statements.map((statement) => `    await queryRunner.query(\`${literal(statement)}\`);`),
    "  }",
  ];
  return [
    ...(isTyped ? ['import type { MigrationInterface, QueryRunner } from "typeorm";', ""] : []),
    "/** Made by `typeorm-coherent triggers --migration`: the triggers of the change feed. */",
    `${format === "commonjs" ? "module.exports." + name + " = " : "export "}class ${name}${isTyped ? " implements MigrationInterface" : ""} {`,
    `  name = "${name}";`,
    "",
    ...method("up", up),
    "",
    ...method("down", down),
    `}${format === "commonjs" ? ";" : ""}`,
    "",
  ].join("\n");
}

/** The text between the quotes of a template. */
function literal(text: string): string {
  return text.replace(/[\\`]|\$\{/g, "\\$&");
}

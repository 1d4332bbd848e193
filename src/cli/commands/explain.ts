import type { FindManyOptions, ObjectLiteral } from "typeorm";
import { CacheConfigError } from "../../errors";
import type { ExplainedMethod } from "../../read/reads";
import { jsonObject } from "../arguments";
import { EXIT } from "../exit-codes";
import { withOperators } from "../find-operators";
import type { Run } from "../program";

/** The options of `explain`. */
export interface ExplainOptions {
  readonly where?: string;
  readonly options?: string;
}

const METHODS: Readonly<Record<ExplainedMethod, true>> = {
  find: true,
  findOne: true,
  exists: true,
  count: true,
  findAndCount: true,
};

/** `explain <entity> [method]` */
export const explain: Run<ExplainOptions, [entity: string, method: string | undefined]> = async (
  { target, terminal },
  given,
  entity,
  method = "findOne",
) => {
  if (!isMethod(method)) {
    const names = Object.keys(METHODS).join(", ");
    throw new CacheConfigError("CONFIG_INVALID", `There is no method ${method} to explain; there are ${names}.`);
  }
  const where = withOperators(jsonObject(given.where, "--where"));
  const options = withOperators(jsonObject(given.options, "--options")) as object | undefined;
  const store = target.hasRedis ? "redis" : "none";
  if (store === "none") terminal.say("There is no Redis to ask: whether it is there now is not known.");
  const cache = await target.cache(store);
  try {
    if (!target.dataSource.hasMetadata(entity)) {
      const names = target.dataSource.entityMetadatas.map(({ name }) => name);
      throw new CacheConfigError("CONFIG_INVALID", `There is no entity ${entity}; there are ${names.join(", ")}.`);
    }
    const all = { ...options, ...(where === undefined ? {} : { where }) } as FindManyOptions<ObjectLiteral>;
    const explanation = await cache.explain(entity, method, all);
    terminal.show(explanation, () => explanation.text.split("\n"));
    return explanation.cacheable ? EXIT.ok : EXIT.no;
  } finally {
    await cache.close();
  }
};

function isMethod(name: string): name is ExplainedMethod {
  return Object.hasOwn(METHODS, name);
}

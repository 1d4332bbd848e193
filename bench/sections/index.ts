import { allocation } from "./allocation";
import { bulkWrites } from "./bulk-writes";
import { cluster } from "./cluster";
import { codecs } from "./codecs";
import { consistency } from "./consistency";
import { manyRows } from "./many-rows";
import { manyTags } from "./many-tags";
import { memory } from "./memory";
import { observer } from "./observer";
import type { Section } from "./section";
import { signatures } from "./signatures";
import { transparent } from "./transparent";
import { wholeApp } from "./whole-app";

export type { SectionContext } from "./section";

/** In the order in which they run. */
export const SECTIONS: readonly Section[] = [
  observer,
  transparent,
  codecs,
  signatures,
  consistency,
  allocation,
  memory,
  manyTags,
  manyRows,
  bulkWrites,
  cluster,
  wholeApp,
];

/** What a category sells: each variant of each kind is a product. */
export interface CategoryPlan {
  readonly code: string;
  readonly slug: string;
  readonly name: string;
  readonly variants: readonly string[];
  /** The name of a kind, with its lowest and highest price in whole units of money. */
  readonly kinds: readonly (readonly [name: string, least: number, most: number])[];
}

function category(
  code: string,
  name: string,
  variants: string,
  ...kinds: (readonly [name: string, least: number, most: number])[]
): CategoryPlan {
  return { code, name, slug: name.toLowerCase().replace(/\W+/g, "-"), variants: variants.split(", "), kinds };
}

/** Twelve categories, which make up the 200 products in seed.ts. */
export const CATALOGUE: readonly CategoryPlan[] = [
  category(
    "KIT",
    "Kitchen",
    "Copper, Cast iron, Stainless, Enamel",
    ["saucepan", 35, 120],
    ["frying pan", 30, 95],
    ["colander", 15, 40],
    ["kettle", 28, 80],
    ["ladle", 8, 19],
  ),
  category(
    "TAB",
    "Tableware",
    "Porcelain, Stoneware, Oak, Glass",
    ["dinner plate", 9, 24],
    ["soup bowl", 8, 20],
    ["serving tray", 22, 60],
    ["pitcher", 18, 48],
    ["egg cup", 5, 12],
  ),
  category(
    "BED",
    "Bedding",
    "Linen, Percale, Flannel, Merino",
    ["duvet cover", 60, 180],
    ["pillowcase", 15, 40],
    ["fitted sheet", 30, 85],
    ["throw", 40, 130],
    ["bedspread", 70, 190],
  ),
  category(
    "BAT",
    "Bath",
    "Waffle, Terry, Bamboo, Hammam",
    ["bath towel", 18, 45],
    ["hand towel", 9, 22],
    ["bath mat", 20, 50],
    ["bathrobe", 55, 120],
    ["washcloth", 4, 11],
  ),
  category(
    "LIG",
    "Lighting",
    "Brass, Paper, Ceramic, Smoked glass",
    ["table lamp", 45, 160],
    ["pendant light", 70, 240],
    ["floor lamp", 95, 320],
    ["wall light", 50, 140],
    ["night light", 18, 45],
  ),
  category(
    "OFF",
    "Office",
    "Walnut, Felt, Leather, Recycled",
    ["desk organiser", 20, 65],
    ["notebook", 7, 24],
    ["pen tray", 14, 38],
    ["document box", 19, 44],
    ["mouse pad", 12, 36],
  ),
  category(
    "GAR",
    "Garden",
    "Galvanised, Terracotta, Ash, Forged",
    ["watering can", 25, 70],
    ["plant pot", 8, 45],
    ["hand trowel", 12, 34],
    ["bird feeder", 18, 52],
    ["garden fork", 30, 75],
  ),
  category(
    "TOO",
    "Tools",
    "Compact, Professional, Precision, Folding",
    ["screwdriver set", 19, 65],
    ["claw hammer", 17, 48],
    ["spirit level", 14, 55],
    ["tape measure", 6, 22],
    ["hand saw", 16, 50],
  ),
  category(
    "TOY",
    "Toys",
    "Beech, Painted, Travel, Classic",
    ["building blocks", 22, 60],
    ["train set", 35, 110],
    ["spinning top", 5, 15],
    ["puzzle", 12, 32],
    ["marble run", 40, 95],
  ),
  category(
    "BOO",
    "Books",
    "Illustrated, Pocket, Annotated, Large print",
    ["atlas", 25, 70],
    ["herbal", 18, 42],
    ["cookbook", 19, 45],
    ["field guide", 14, 30],
    ["almanac", 11, 26],
  ),
  category(
    "OUT",
    "Outdoor",
    "Canvas, Waxed, Ultralight, Wool",
    ["rucksack", 70, 190],
    ["picnic blanket", 28, 75],
    ["sleeping bag", 90, 260],
    ["hammock", 45, 120],
    ["dry bag", 15, 40],
  ),
  category(
    "FOO",
    "Pantry",
    "Organic, Smoked, Sicilian, Single-origin",
    ["olive oil", 9, 28],
    ["sea salt", 4, 12],
    ["coffee", 8, 21],
    ["chocolate", 3, 9],
    ["chestnut honey", 7, 18],
  ),
];

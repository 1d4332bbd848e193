/** JSON schemas that several routes share. */
export const id = { type: "integer", minimum: 1 } as const;

export const idParams = { type: "object", properties: { id }, required: ["id"] } as const;

export const sku = { type: "string", minLength: 1, maxLength: 32 } as const;

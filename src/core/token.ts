import { randomFillSync } from "node:crypto";

/**
 * The random value that a tag holds: 96 bits as 16 characters of base64url. Two mints never meet (2^-48 after 2^24
 * mints), which is what makes an evicted and re-created tag different from its earlier self; a counter would not be.
 */
export type Token = string;

/** A source of tokens, passed in so that the model checker can enumerate what production draws at random. */
export type TokenSource = () => Token;

const POOL_BYTES = 12 * 256;

/** A token source over the operating system's CSPRNG; draws 256 tokens' worth of entropy at a time. */
export function createTokenSource(): TokenSource {
  const pool = Buffer.alloc(POOL_BYTES);
  let used = POOL_BYTES;
  return () => {
    if (used === POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const token = pool.toString("base64url", used, used + 12);
    used += 12;
    return token;
  };
}

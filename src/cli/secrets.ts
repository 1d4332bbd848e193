/** Texts that nothing which is printed may hold; see {@link Secrets.hide}. */
export class Secrets {
  private readonly known = new Set<string>();

  /** A password, or anything else that is one; what is undefined or hardly a secret is left out. */
  add(secret: unknown): void {
    if (typeof secret !== "string" || secret.length < 3) return;
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) this.known.add(form);
  }

  /** The credentials in a URL. */
  addUrl(url: unknown): void {
    if (typeof url !== "string" || !URL.canParse(url)) return;
    const { password } = new URL(url);
    this.add(password);
    try {
      this.add(decodeURIComponent(password));
    } catch {
      // It is no encoded text, and stands there as it is.
    }
  }

  /** The same text with *** for each of them. */
  hide(text: string): string {
    let hidden = text;
    for (const secret of this.known) hidden = hidden.replaceAll(secret, "***");
    return hidden;
  }
}

const MAX_WARNINGS = 100;

/** What a person should know and what is no error. The first hundred are kept. */
export class Warnings {
  readonly list: string[] = [];
  readonly #said = new Set<string>();

  add(text: string): void {
    if (this.list.length < MAX_WARNINGS) this.list.push(text);
  }

  /** Only the first of a kind. */
  once(kind: string, text: string): void {
    if (this.#said.has(kind)) return;
    this.#said.add(kind);
    this.add(text);
  }
}

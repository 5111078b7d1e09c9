/** Limits of the aliases of a YAML document, looked at before the document becomes a value. */
import type * as Yaml from 'yaml';

/** The most anchors and aliases of a document: the parser looks for an alias's anchor among all before. */
const MAX_NAMES = 10_000;
/** The most nodes that all aliases of a document stand for. */
const MAX_ALIASED = 1_000_000;

/** Throws for too many aliases, for those that stand for too much, and for one inside of what it stands for. */
export function checkAliases(yaml: typeof Yaml, root: unknown): void {
  new AliasCheck(yaml).sizeOf(root);
}

class AliasCheck {
  readonly #yaml: typeof Yaml;
  /** The nodes of each anchor; undefined while these are being counted. */
  readonly #anchors = new Map<string, number | undefined>();
  #names = 0;
  #aliased = 0;

  constructor(yaml: typeof Yaml) {
    this.#yaml = yaml;
  }

  /** Nodes below `node`, and itself. */
  sizeOf(node: unknown): number {
    const { isAlias, isPair, isCollection, isNode } = this.#yaml;
    if (isPair(node)) return this.sizeOf(node.key) + this.sizeOf(node.value);
    if (!isNode(node)) return 0;
    if (isAlias(node)) return this.#sizeOfAlias(node.source);
    this.#begin(node.anchor);
    let size = 1;
    if (isCollection(node)) for (const item of node.items) size += this.sizeOf(item);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, size);
    return size;
  }

  #begin(anchor: string | undefined): void {
    if (anchor === undefined) return;
    this.#count();
    this.#anchors.set(anchor, undefined);
  }

  #sizeOfAlias(source: string): number {
    this.#count();
    const size = this.#anchors.get(source);
    if (size === undefined && this.#anchors.has(source))
      throw new Error(`the alias *${source} stands inside of what it stands for`);
    this.#aliased += size ?? 0;
    if (this.#aliased > MAX_ALIASED) throw new Error(`its aliases stand for more than ${MAX_ALIASED} nodes`);
    return size ?? 0;
  }

  #count(): void {
    if (++this.#names > MAX_NAMES) throw new Error(`it has more than ${MAX_NAMES} anchors and aliases`);
  }
}

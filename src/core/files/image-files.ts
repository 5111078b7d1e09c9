/** The files of an image, out of its layers, in memory: no more layers are read than a question takes. */

import type { TarSink } from '../archive/entry.ts';
import { isNeedsBelow } from '../archive/guesses.ts';
import type { LayerRecord } from '../archive/layer-record.ts';
import type { ByteString } from '../bytes.ts';
import { HawserError, isKind, reasonOf } from '../errors.ts';
import type { ImageBudget } from '../layers/image-budget.ts';
import type { LayerStep } from '../layers/layer-steps.ts';
import type { Call } from '../ports/call.ts';
import { ModelSyscalls } from '../trees/model.ts';
import type { ModelNode } from '../trees/model-node.ts';
import { PackedNodes } from '../trees/packed-nodes.ts';
import { type ContentEvent, type ContentPiece, readContents } from './contents.ts';
import { EntryWatch, parsePlace } from './entry-watch.ts';
import type { LayerReader, MemoryTarget } from './layer-reader.ts';
import { LayerStack } from './layer-stack.ts';
import { type Walked, walk, wholeView } from './walk.ts';

const ROOT = '/';
/** Bytes of memory that the names and attributes of an image may take. */
const MAX_TREE_BYTES = 160 << 20;

/** What is at a path. */
export type FoundFile = Exclude<Walked<unknown>, { is: 'unknown' }>;

export class ImageFiles {
  readonly #reader: LayerReader;
  readonly #steps: readonly LayerStep[];
  #watch = new EntryWatch([]);
  #whole: ModelNode | undefined;
  readonly #warnings: string[] = [];
  readonly #maxBytes: number;

  /** `steps`: the lowest layer first, as `planUnpack` makes them. `maxBytes`: of memory for names and attributes. */
  constructor(reader: LayerReader, steps: readonly LayerStep[], maxBytes: number = MAX_TREE_BYTES) {
    this.#maxBytes = maxBytes;
    this.#reader = reader;
    this.#steps = steps;
  }

  /** What unpacking would have warned of, once the whole tree was read. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /**
   * What is at each of the paths (`walk`); symlinks at the end are followed. Layers are read from the top, each to its end, until all
   * is known. Where a layer depends on those below in a way that only they tell, all are read, from the lowest.
   */
  async find(paths: readonly ByteString[], call: Call): Promise<readonly FoundFile[]> {
    this.#watch = new EntryWatch(paths);
    const found = this.#whole === undefined ? await this.#findFromTop(paths, call) : undefined;
    if (found !== undefined) return found;
    const view = wholeView(await this.whole(call));
    return paths.map((path) => known(walk(view, path, { follow: true })));
  }

  async #findFromTop(paths: readonly ByteString[], call: Call): Promise<readonly FoundFile[] | undefined> {
    const stack = new LayerStack();
    const model = this.#model(new PackedNodes(this.#maxBytes));
    const budget = this.#reader.budget(this.#steps);
    for (const step of this.#steps.toReversed()) {
      const root = model.addRoot(String(step.index));
      const target = { model, root: String(step.index), mode: 'blind', watch: this.#watching(step) } as const;
      const record = await this.#applyBlind(step, target, budget, call);
      if (record === undefined) return undefined;
      stack.add(root, record, step.index === 0);
      const state = stack.settle();
      if (state === 'wrong') return undefined;
      if (state === 'open') continue;
      const found = paths.map((path) => walk(stack, path, { follow: true }));
      if (found.every((one) => one.is !== 'unknown')) return found.map(known);
    }
    return undefined;
  }

  /** Undefined when the layer cannot be applied blind: in order it says what is wrong, if anything is. */
  async #applyBlind(
    step: LayerStep,
    target: MemoryTarget,
    budget: ImageBudget,
    call: Call,
  ): Promise<LayerRecord | undefined> {
    try {
      const { record } = await this.#reader.apply(step, target, budget, call);
      return record ?? undefined;
    } catch (err) {
      const malformed = reasonOf(err, 'malformed') !== undefined;
      if (malformed || (!isNeedsBelow(err) && !isKind(err, 'InvalidArgument'))) throw err;
      return undefined;
    }
  }

  /** The whole tree: all layers are read, once. */
  async whole(call: Call): Promise<ModelNode> {
    if (this.#whole !== undefined) return this.#whole;
    const nodes = new PackedNodes(this.#maxBytes);
    const model = this.#model(nodes);
    const root = model.addRoot(ROOT);
    const budget = this.#reader.budget(this.#steps);
    for (const step of this.#steps) {
      // What a flat layer notes of each file is not needed with nothing below: half of the memory for a million files.
      const mode = step.index === 0 ? 'overlay' : 'flat';
      const watching = this.#watching(step);
      const watch: MemoryTarget['watch'] = (applier) =>
        watching(mode === 'flat' ? noting(nodes, applier) : applier);
      const { warnings } = await this.#reader.apply(step, { model, root: ROOT, mode, watch }, budget, call);
      nodes.forgetNotes();
      this.#warnings.push(...warnings);
    }
    this.#whole = root;
    return root;
  }

  #model(nodes: PackedNodes): ModelSyscalls {
    return new ModelSyscalls(this.#watch, { make: nodes.make });
  }

  #watching({ index }: LayerStep) {
    return (applier: Parameters<EntryWatch['of']>[1]) => this.#watch.of(index, applier);
  }

  /** The content of a file that was found. Nothing unverified is given: after a DataLoss, what came before is good. */
  async *content(file: Pick<ModelNode, 'content'>, call: Call): AsyncGenerator<ContentPiece> {
    const { id = '', size = 0 } = file.content ?? {};
    if (size === 0) return;
    const held = this.#watch.held(id);
    if (held !== undefined) {
      for (const bytes of held) yield { type: 'data', bytes };
      return;
    }
    const { layer, entry } = parsePlace(id);
    let left = size;
    for await (const event of this.contents(layer, new Set([entry]), call)) {
      if (event.type !== 'data' && event.type !== 'hole') continue;
      left -= event.type === 'data' ? event.bytes.length : event.length;
      yield event;
    }
    if (left !== 0)
      throw new HawserError(
        'DataLoss',
        `layer ${layer + 1} gave ${size - left} of the ${size} bytes of a file`,
      );
  }

  /** The contents of the entries of one layer, in the order of its archive. */
  async *contents(layer: number, entries: ReadonlySet<number>, call: Call): AsyncGenerator<ContentEvent> {
    const step = this.#steps[layer];
    if (step === undefined) throw new HawserError('Internal', `no layer ${layer}`);
    yield* readContents(await this.#reader.archive(step, call), entries, call);
  }
}

/** Counts the entries of a flat layer on their way to `applier`. */
function noting(nodes: PackedNodes, applier: TarSink): TarSink {
  return {
    entry: (entry) => {
      nodes.note(entry.name);
      applier.entry(entry);
    },
    data: (bytes) => applier.data(bytes),
    hole: (length) => applier.hole(length),
    entryEnd: () => applier.entryEnd(),
  };
}

function known(walked: Walked<unknown>): FoundFile {
  if (walked.is === 'unknown') throw new HawserError('Internal', 'a layer is missing');
  return walked;
}

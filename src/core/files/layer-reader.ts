/** Reads the layers of an image, each as often as need be; all that is used of a layer is verified. */
import type { TarSink } from '../archive/entry.ts';
import { byteStream } from '../async/byte-stream.ts';
import { DETECT_LENGTH, detectCompression } from '../codec/formats.ts';
import { peek } from '../codec/peek.ts';
import { HawserError, wrap } from '../errors.ts';
import { applyLayer } from '../layers/apply-layer.ts';
import { type ImageBudget, imageBudget } from '../layers/image-budget.ts';
import { jobSettings, type LayerSettings } from '../layers/layer-settings.ts';
import { checkDiffId, type LayerStep } from '../layers/layer-steps.ts';
import type { ApplyResult } from '../layers/workers.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Runtime } from '../runtime.ts';
import type { ModelSyscalls } from '../trees/model.ts';
import { Pieces } from './pieces.ts';

/** Where the blobs of an image's layers are. */
export interface LayerSource {
  /** The blob from its start. Read to its end, the stream ends with DataLoss unless the bytes are those of the descriptor. */
  open(layer: Descriptor, call: Call): Promise<ReadableStream<Uint8Array>>;
  /** Runs `work`, which reads the blob. Where its failure comes of damaged bytes, the error says that. Not given: `open` tells. */
  guard?<T>(layer: Descriptor, call: Call, work: () => Promise<T>): Promise<T>;
}

export type ReaderDeps = Pick<Runtime, 'codecs' | 'hashers' | 'clock'>;

/** A tree in memory that takes a layer. */
export interface MemoryTarget {
  readonly model: ModelSyscalls;
  readonly root: string;
  /** `overlay`: with nothing below. `flat`: over what the root has. `blind`: by itself. */
  readonly mode: 'overlay' | 'flat' | 'blind';
  /** Stands between the archive and the tree. */
  watch(applier: TarSink): TarSink;
}

/** Compressed bytes of layers that are kept in memory, for whoever reads the layer again. */
const MAX_KEPT = 16 << 20;
/** Milliseconds of work between two turns of the event loop. */
const SLICE_MS = 10;

export class LayerReader {
  readonly #deps: ReaderDeps;
  readonly #source: LayerSource;
  readonly #settings: LayerSettings;
  readonly #pieces = new Map<Digest, Pieces>();
  readonly #kept = new Map<Digest, readonly Uint8Array[]>();
  #free = MAX_KEPT;
  #turned = 0;

  constructor(deps: ReaderDeps, source: LayerSource, settings: LayerSettings) {
    this.#deps = deps;
    this.#source = source;
    this.#settings = settings;
  }

  /** A budget for one reading of all layers. */
  budget(steps: readonly LayerStep[]): ImageBudget {
    return imageBudget(
      steps.map(({ layer }) => layer),
      this.#settings,
    );
  }

  /** Applies a layer to a tree in memory: returns once the whole blob, and what the blob expands to, are verified. */
  async apply(step: LayerStep, target: MemoryTarget, image: ImageBudget, call: Call): Promise<ApplyResult> {
    const { layer } = step;
    const { model, root, mode, watch } = target;
    const job = {
      ...{ blob: '', growing: null, blobSize: layer.size, mediaType: layer.mediaType },
      ...{ root, lowers: [], mode, image, ...jobSettings(this.#settings) },
    };
    const openBlob = () => this.#first(layer, call);
    const deps = { ...this.#deps, syscalls: model, openBlob, watch, turn: () => this.#turn() };
    try {
      return await this.#guarded(layer, call, async () => {
        const applied = await applyLayer(job, deps, call);
        checkDiffId(step, applied.diffId);
        return applied;
      });
    } catch (err) {
      this.#pieces.delete(layer.digest);
      throw wrap(`Cannot read layer ${step.index + 1} (${layer.digest})`, err);
    }
  }

  async #guarded<T>(layer: Descriptor, call: Call, work: () => Promise<T>): Promise<T> {
    return await (this.#source.guard?.(layer, call, work) ?? work());
  }

  /** The archive of a layer that was applied before, as far as it is read. */
  async archive({ layer, index }: LayerStep, call: Call): Promise<ReadableStream<Uint8Array>> {
    const pieces = this.#pieces.get(layer.digest);
    if (pieces === undefined) throw new HawserError('Internal', `layer ${index + 1} was not verified`);
    const kept = this.#kept.get(layer.digest);
    const blob = kept === undefined ? pieces.checked(await this.#source.open(layer, call)) : streamOf(kept);
    const { head, stream } = await peek(blob, DETECT_LENGTH, call);
    const codec = await this.#deps.codecs.get(detectCompression(head), this.#settings.codec);
    return codec.decode(stream, call);
  }

  /** The blob, noted piece by piece; a small one is kept. */
  #first(layer: Descriptor, call: Call): ReadableStream<Uint8Array> {
    const { digest, size } = layer;
    if (this.#kept.has(digest)) return streamOf(this.#kept.get(digest) ?? []);
    const pieces = new Pieces(this.#deps.hashers);
    const kept: Uint8Array[] | undefined = size <= this.#free ? [] : undefined;
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    const next = async (): Promise<Uint8Array | undefined> => {
      reader ??= (await this.#source.open(layer, call)).getReader();
      const { value } = await reader.read();
      if (value !== undefined) {
        pieces.add(value);
        kept?.push(new Uint8Array(value));
        return value;
      }
      pieces.end();
      this.#pieces.set(digest, pieces);
      if (kept !== undefined) this.#keep(digest, kept);
      return undefined;
    };
    return byteStream({ next, cancel: async (reason) => await reader?.cancel(reason) });
  }

  #keep(digest: Digest, kept: readonly Uint8Array[]): void {
    this.#kept.set(digest, kept);
    this.#free -= kept.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  async #turn(): Promise<void> {
    const { clock } = this.#deps;
    if (clock.monotonic() - this.#turned < SLICE_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#turned = clock.monotonic();
  }
}

/** Whoever decompresses a chunk may give its memory away. */
function copyOf(chunk: Uint8Array | undefined): Uint8Array | undefined {
  return chunk === undefined ? undefined : new Uint8Array(chunk);
}

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  let at = 0;
  return byteStream({ next: async () => copyOf(chunks[at++]) });
}

/** Whether an image can fit on the store's disk, said before the first byte of a layer. */
import type { Backend, Space } from '../backend.ts';
import { refKey } from '../content/ref-key.ts';
import { HawserError, ifFound } from '../errors.ts';
import { isPresent } from '../images/inspect.ts';
import { roughSize } from '../layers/expanded-size.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Job } from './job.ts';
import type { FetchOptions, StoreDeps } from './options.ts';

const HINT =
  'Free some space (hawser images rm), or use a --root on another disk; --force (of images pull and content fetch) tries all the same';

/** Bytes that blobs take: at the least, and as far as is known. */
interface Need {
  readonly least: number;
  readonly likely: number;
}

/** Called with blobs that are about to be fetched: refuses an image that cannot fit. */
export type SpaceCheck = (blobs: readonly Descriptor[], call: Call) => Promise<void>;

export function spaceCheck(
  { deps, options, report }: Job<StoreDeps, FetchOptions>,
  unpacks: boolean,
): SpaceCheck {
  const forecast = new Forecast(deps.backend, { unpacks, force: options.force ?? false, report });
  return (blobs, call) => forecast.admit(blobs, call);
}

interface ForecastOptions {
  readonly unpacks: boolean;
  /** Only a size that the whole disk cannot hold is refused. */
  readonly force: boolean;
  readonly report: Report;
}

class Forecast {
  readonly #backend: Pick<Backend, 'content' | 'space'>;
  readonly #options: ForecastOptions;
  /** All that the image takes, as far as it has been read. */
  readonly #blobs = new Map<string, Descriptor>();
  /** The space before the first blob. */
  #atFirst: Promise<Space | undefined> | undefined;
  #warned = false;

  constructor(backend: Pick<Backend, 'content' | 'space'>, options: ForecastOptions) {
    this.#backend = backend;
    this.#options = options;
  }

  /**
   * Adds blobs that are about to be fetched. ResourceExhausted, with the numbers, when the whole disk has no room for one of them,
   * or (unless forced) the free space has none for all of the image so far. A warning when they will hardly fit.
   */
  async admit(blobs: readonly Descriptor[], call: Call): Promise<void> {
    this.#atFirst ??= this.#spaceNow(call);
    for (const blob of blobs) this.#blobs.set(blob.digest, blob);
    const first = await this.#atFirst;
    if (first === undefined || this.#rough() <= first.free) return;
    const space = (await this.#spaceNow(call)) ?? first;
    const { least, likely } = await this.#need(space, call);
    if (least > space.free && !this.#options.force) throw this.#tooLarge(least, space);
    if (likely <= space.free || this.#warned) return;
    this.#warned = true;
    const message = `The image will hardly fit: it takes about ${mebibytes(likely)}, and ${mebibytes(space.free)} are free`;
    this.#options.report({ type: 'warning', message });
  }

  /** Undefined where it cannot be known (Deno may refuse). */
  async #spaceNow(call: Call): Promise<Space | undefined> {
    try {
      return await this.#backend.space?.(call);
    } catch {
      call.signal?.throwIfAborted();
      return undefined;
    }
  }

  /** What the image takes if the store has nothing of it. */
  #rough(): number {
    let bytes = 0;
    for (const blob of this.#blobs.values())
      bytes += blob.size + (this.#options.unpacks ? roughSize(blob).bytes : 0);
    return bytes;
  }

  /** What is still to come, of what is to be in the space that there is now. */
  async #need(space: Space, call: Call): Promise<Need> {
    let [least, likely] = [0, 0];
    for (const blob of this.#blobs.values()) {
      if (await isPresent(this.#backend.content, blob.digest, call)) continue;
      if (blob.size > space.total) throw neverFits(blob, space);
      // What an interrupted pull has left is on the disk already.
      const arrived = (await ifFound(this.#backend.content.status(refKey(blob), call)))?.offset ?? 0;
      const rest = Math.max(0, blob.size - arrived);
      const { bytes, known } = this.#options.unpacks ? roughSize(blob) : { bytes: 0, known: true };
      least += rest + (known ? bytes : blob.size);
      likely += rest + bytes;
    }
    return { least, likely };
  }

  #tooLarge(least: number, { free }: Space): HawserError {
    const what = this.#options.unpacks ? 'to fetch and unpack' : 'to fetch';
    return new HawserError(
      'ResourceExhausted',
      `The image cannot fit: it takes at least ${mebibytes(least)} ${what}, and ${mebibytes(free)} are free`,
      { hint: HINT },
    );
  }
}

function neverFits({ digest, size }: Descriptor, { total }: Space): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `Cannot fetch ${digest}: it has ${mebibytes(size)}, and the whole disk of the store has ${mebibytes(total)}`,
    { hint: 'The manifest names a size that cannot be, or the store needs a larger disk (--root)' },
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;
}

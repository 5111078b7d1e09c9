/** What goes by while a layer is applied: where in the archive each file is, and the content of small files that are asked for. */
import type { TarEntry, TarSink } from '../archive/entry.ts';
import type { ByteString } from '../bytes.ts';
import { componentsOf } from '../paths.ts';
import type { Hasher } from '../ports/hashers.ts';
import type { ContentNames } from '../trees/model-node.ts';

/** Where a file's bytes are: the layer by its index, the entry by its number in the archive, from 0. */
export interface ContentPlace {
  readonly layer: number;
  readonly entry: number;
}

export function placeText({ layer, entry }: ContentPlace): string {
  return `${layer}:${entry}`;
}

/** Of what `placeText` made. */
export function parsePlace(text: string): ContentPlace {
  const [layer, entry] = text.split(':');
  return { layer: Number(layer), entry: Number(entry) };
}

/** Bytes of contents that are kept. */
const MAX_HELD = 16 << 20;

/** Follows the layers that go into trees in memory, and gives the files in them the places of their bytes for names. */
export class EntryWatch implements ContentNames {
  readonly #wanted: ReadonlySet<ByteString>;
  readonly #held = new Map<string, Uint8Array[]>();
  #free = MAX_HELD;
  #place: ContentPlace = { layer: 0, entry: -1 };

  /** `paths`: of files whose bytes are likely to be asked for, as an archive would name them. */
  constructor(paths: readonly ByteString[]) {
    this.#wanted = new Set(paths.map(spelling));
  }

  create(): Hasher {
    const { layer, entry } = this.#place;
    return { update: () => {}, digest: () => placeText({ layer, entry }) };
  }

  /** The content at a place, if it was kept. */
  held(place: string): readonly Uint8Array[] | undefined {
    return this.#held.get(place);
  }

  /** Counts the entries of a layer on their way to `applier`. */
  of(layer: number, applier: TarSink): TarSink {
    this.#place = { layer, entry: -1 };
    let holding: Uint8Array[] | undefined;
    return {
      entry: (entry) => {
        this.#place = { layer, entry: this.#place.entry + 1 };
        holding = this.#holds(entry) ? [] : undefined;
        applier.entry(entry);
      },
      data: (bytes) => {
        holding?.push(new Uint8Array(bytes));
        applier.data(bytes);
      },
      hole: (length) => {
        // A sparse file is not kept: its zeros would take memory.
        holding = undefined;
        applier.hole(length);
      },
      entryEnd: () => {
        applier.entryEnd();
        if (holding !== undefined) this.#hold(holding);
        holding = undefined;
      },
    };
  }

  #holds({ type, name, size }: TarEntry): boolean {
    return type === 'file' && size <= this.#free && this.#wanted.has(spelling(name));
  }

  #hold(content: Uint8Array[]): void {
    this.#free -= content.reduce((sum, bytes) => sum + bytes.length, 0);
    this.#held.set(placeText(this.#place), content);
  }
}

function spelling(name: ByteString): ByteString {
  return componentsOf(name).join('/');
}

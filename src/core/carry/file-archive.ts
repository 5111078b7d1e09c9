/** An archive in a file that can be read anywhere: one look at its headers, then what is wanted of it. */
import { byteStream } from '../async/byte-stream.ts';
import { cleanedUp } from '../async/cleanup.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { FileHandle } from '../ports/file-system.ts';
import { type Archive, type Member, scan } from './members.ts';
import { type ByteInput, TarEntries } from './tar-entries.ts';

/** Bytes read at once while looking for headers, and while copying. */
const LOOK = 16 * 1024;
const COPY = 1 << 20;

/** The file belongs to the archive from now on, also when this fails. */
export async function openFileArchive(name: string, file: FileHandle, call: Call): Promise<Archive> {
  try {
    const size = await file.size();
    const input = new FileInput(file, size, LOOK);
    const keep = async (_: string, entry: { readonly offset: number; readonly size: number }) =>
      regionMember(file, entry.offset, entry.size);
    const members = new Map<string, Member>();
    await scan(new TarEntries(input), keep, call, { members });
    return {
      name,
      find: async (member) => members.get(member),
      names: async () => members.keys(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (err) {
    throw await cleanedUp(err, () => file.close());
  }
}

/** A file from its start. Passing over bytes costs nothing. */
export class FileInput implements ByteInput {
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #piece: number;
  #at = 0;

  /** `piece`: bytes read at once. */
  constructor(file: FileHandle, size: number, piece: number) {
    this.#file = file;
    this.#size = size;
    this.#piece = piece;
  }

  async read(call: Call): Promise<Uint8Array | undefined> {
    call.signal?.throwIfAborted();
    const bytes = new Uint8Array(Math.min(this.#piece, Math.max(0, this.#size - this.#at)));
    const got = await this.#file.read(bytes, this.#at);
    this.#at += got;
    if (got === 0 && this.#at < this.#size) throw truncated(this.#at);
    return got === 0 ? undefined : bytes.subarray(0, got);
  }

  seek(count: number): boolean {
    if (this.#at + count > this.#size) throw truncated(this.#size);
    this.#at += count;
    return true;
  }
}

function truncated(after: number): HawserError {
  return new HawserError('DataLoss', `it ends after ${after} bytes, in the middle of a file`, {
    hint: 'The archive was cut off: copy it again',
    reason: { type: 'malformed' },
  });
}

/** A stretch of the file, which stays open. */
function regionMember(file: FileHandle, start: number, size: number): Member {
  return {
    type: 'file',
    size,
    open: async (offset, call) => {
      let at = offset;
      const next = async (): Promise<Uint8Array | undefined> => {
        if (at >= size) return undefined;
        const bytes = new Uint8Array(Math.min(COPY, size - at));
        const got = await file.read(bytes, start + at);
        if (got === 0) throw truncated(start + at);
        at += got;
        return bytes.subarray(0, got);
      };
      return byteStream({ next, signal: call.signal });
    },
  };
}

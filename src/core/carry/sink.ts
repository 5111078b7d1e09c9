/** Where the files of a layout go: an archive, or a directory. */

import { ARCHIVE_END, padding } from '../archive/write-entry.ts';
import { STORED_DAMAGE } from '../content/heal.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import { tarHeader } from './tar-writer.ts';

/** Files and directories in the order in which they are written. `/` parts the names. */
export interface LayoutSink {
  directory(name: string, call: Call): Promise<void>;
  /** DataLoss when the content has another size. An error of the content goes through. */
  file(name: string, size: number, content: AsyncIterable<Uint8Array>, call: Call): Promise<void>;
}

/** Takes the bytes of an archive. They must not change until `write` resolves. */
export interface ByteSink {
  write(bytes: Uint8Array, call: Call): Promise<void>;
}

/** The same files give the same bytes: no time, no owner, no name of this machine. */
export class TarSink implements LayoutSink {
  readonly #out: ByteSink;
  readonly #mtime: number;

  /** `mtime` of all entries, in seconds since the epoch. */
  constructor(out: ByteSink, mtime: number) {
    this.#out = out;
    this.#mtime = mtime;
  }

  async directory(name: string, call: Call): Promise<void> {
    await this.#out.write(
      tarHeader({ name: `${name}/`, type: 'directory', size: 0, mtime: this.#mtime }),
      call,
    );
  }

  async file(name: string, size: number, content: AsyncIterable<Uint8Array>, call: Call): Promise<void> {
    await this.#out.write(tarHeader({ name, type: 'file', size, mtime: this.#mtime }), call);
    await copyExactly(name, size, content, (bytes) => this.#out.write(bytes, call));
    const rest = padding(size);
    if (rest.length > 0) await this.#out.write(rest, call);
  }

  async end(call: Call): Promise<void> {
    await this.#out.write(ARCHIVE_END, call);
  }
}

/** DataLoss when the content has another size. */
export async function copyExactly(
  name: string,
  size: number,
  content: AsyncIterable<Uint8Array>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let done = 0;
  for await (const chunk of content) {
    done += chunk.length;
    if (done > size) break;
    await write(chunk);
  }
  if (done !== size) throw otherSize(name, size, done);
}

/** The content in memory. DataLoss when it has another size. */
export async function collected(
  name: string,
  size: number,
  content: AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let at = 0;
  await copyExactly(name, size, content, async (bytes) => {
    out.set(bytes, at);
    at += bytes.length;
  });
  return out;
}

function otherSize(name: string, expected: number, actual: number): HawserError {
  return new HawserError('DataLoss', `Cannot copy ${name}: it has ${actual} bytes or more, not ${expected}`, {
    hint: STORED_DAMAGE,
    reason: { type: 'mismatch', expected, actual },
  });
}

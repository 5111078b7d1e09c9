import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import { type ByteString, toBytes } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import type { Dir, RenameMode } from '../../core/ports/syscalls.ts';
import { errnoError } from './errno.ts';
import { fsError } from './fs-error.ts';
import { checkName, pathOf } from './names.ts';
import type { Node, Path, Reach } from './tools-reach.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** How ToolsSyscalls names things to node:fs, with errors in words. */
export class ToolsCalls {
  readonly reach: Reach;
  readonly #utf8Only: boolean;

  constructor({ reach, utf8Only }: { readonly reach: Reach; readonly utf8Only: boolean }) {
    this.reach = reach;
    this.#utf8Only = utf8Only;
  }

  at<T>(verb: string, dir: Dir, name: ByteString, work: (path: Path) => T): T {
    const doing = (): string => `${verb} ${pathOf(dir, name)}`;
    const path = this.path(dir, name, doing);
    return attempt(doing, () => work(path));
  }

  two(
    verb: string,
    from: Dir,
    fromName: ByteString,
    to: Dir,
    toName: ByteString,
    work: (from: Path, to: Path) => void,
  ): void {
    const doing = (): string => `${verb} ${pathOf(from, fromName)} to ${pathOf(to, toName)}`;
    const a = this.path(from, fromName, doing);
    const b = this.path(to, toName, doing);
    attempt(doing, () => work(a, b));
  }

  /** `new` is not one step: an entry that comes between the look and the call is replaced. */
  rename(from: Dir, fromName: ByteString, to: Dir, toName: ByteString, mode?: RenameMode): void {
    this.two('renaming', from, fromName, to, toName, (a, b) => {
      const taken = mode === 'new' && fs.lstatSync(b, { throwIfNoEntry: false }) !== undefined;
      if (mode !== 'exchange' && !taken) return fs.renameSync(a, b);
      const doing = `renaming ${pathOf(from, fromName)} to ${pathOf(to, toName)}`;
      throw errnoError(taken ? 'EEXIST' : 'ENOSYS', doing);
    });
  }

  /** `work` gets the thing itself, be it a symlink. */
  node<T>(verb: string, dir: Dir, name: ByteString, work: (node: Node, doing: string) => T): T {
    const doing = (): string => `${verb} ${pathOf(dir, name)}`;
    const path = this.path(dir, name, doing);
    return attempt(doing, () => this.reach.node(path, (node) => work(node, doing())));
  }

  path(dir: Dir, name: ByteString, doing: () => string): Path {
    checkName(name);
    return attempt(doing, () => this.text(`${this.reach.base(dir)}/${name}`, doing));
  }

  /** As node:fs takes it: a string with `utf8Only` (Deno fails on a Buffer when it makes an error of it). */
  text(text: ByteString, doing: () => string): Path {
    if (!this.#utf8Only) return Buffer.from(text, 'latin1');
    try {
      return utf8.decode(toBytes(text));
    } catch {
      throw notUtf8(doing);
    }
  }

  /** A name that node:fs gave. With `utf8Only`, one with U+FFFD could stand for any other. */
  unmangled(name: Uint8Array | string, doing: () => string): ByteString {
    const text = Buffer.from(name as Uint8Array).toString('latin1');
    if (this.#utf8Only && text.includes('\xef\xbf\xbd')) throw notUtf8(doing);
    return text;
  }
}

function notUtf8(doing: () => string): HawserError {
  return new HawserError(
    'NotImplemented',
    `${doing()}: the name is not UTF-8, which needs FFI on this runtime`,
    {
      hint: 'Allow FFI (Deno: --allow-ffi)',
    },
  );
}

/** `doing` is put into words only when needed: a path may be long. */
export function attempt<T>(doing: () => string, work: () => T): T {
  try {
    return work();
  } catch (err) {
    throw fsError(err, doing());
  }
}

import type { ByteString } from '../bytes.ts';
import { HawserError, reasonOf } from '../errors.ts';
import { type DirNode, wayTo } from './dir-node.ts';

/** Beyond these limits, applying the layer again in order costs less. */
const MAX_GUESSES = 200_000;
const MAX_BYTES = 32 << 20;

/**
 * The paths through which a layer went blind: each was taken to be no symlink in the layers below. A path stays when the layer
 * removes its directory again, for entries went through it.
 */
export class Guesses {
  readonly paths: Set<ByteString> = new Set();
  #bytes = 0;

  add(node: DirNode, name: ByteString): void {
    const path = [...wayTo(node), name].join('/');
    if (this.paths.has(path)) return;
    this.#bytes += path.length;
    if (this.paths.size >= MAX_GUESSES || this.#bytes > MAX_BYTES) {
      throw needsBelow('it depends on too much of the layers below');
    }
    this.paths.add(path);
  }
}

/** The error of a blind layer that can be applied only with the layers below in view. */
export function needsBelow(why: string): HawserError {
  return new HawserError('FailedPrecondition', `the layers below are needed: ${why}`, {
    reason: { type: 'needs-below' },
  });
}

export function isNeedsBelow(err: unknown): boolean {
  return reasonOf(err, 'needs-below') !== undefined;
}

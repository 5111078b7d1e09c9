import { parseReference as parse } from '../core/reference/parse.ts';
import type { Reference } from '../core/reference/reference.ts';
import { inLibrary } from './option-hints.ts';

/**
 * Parses a reference as `docker pull` takes it: `alpine` is docker.io/library/alpine:latest. With a tag and a digest, the digest decides and the
 * name keeps the tag. InvalidArgument, with a hint.
 */
export function parseReference(text: string): Reference {
  try {
    return parse(text);
  } catch (err) {
    throw inLibrary(err);
  }
}

/** Flags of commands that take many images. */
import { type Bool, bool, type List, list, type NamesOf } from './flag.ts';

export const LIST_FILE: List<'file'> = list({
  name: 'file',
  alias: 'f',
  value: 'FILE',
  describe: 'a list of images, "-" for standard input (may be repeated)',
});
export const FAIL_FAST: Bool<'fail-fast'> = bool({
  name: 'fail-fast',
  describe: 'of several images: stop all at the first failure',
});
export const LOCKED: Bool<'locked'> = bool({
  name: 'locked',
  describe: 'refuse images that a lock does not pin, or whose tag has moved since',
});

export const LIST_FLAGS: readonly [typeof LIST_FILE, typeof FAIL_FAST, typeof LOCKED] = [
  LIST_FILE,
  FAIL_FAST,
  LOCKED,
];
export type ListFlag = NamesOf<typeof LIST_FLAGS>;

/** For the help of commands that take lists. */
export const LIST_FORMS: string =
  'A list has one reference a line (# begins a comment), or is YAML or JSON: skopeo sync, regsync, hauler, Kubernetes\n' +
  'manifests (helm template CHART | hawser pull -f -), or an images.lock of hawser lock.';

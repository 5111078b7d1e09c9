/** The flags of commands that send images to a registry. Names are ctr's where ctr has the flag. */
import {
  type Bool,
  bool,
  type Choice,
  type Count,
  choice,
  count,
  type List,
  list,
  type NamesOf,
  type Size,
  size,
} from './flag.ts';
import { DISPLAY_FLAGS } from './flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from './registry-flags.ts';
import { ALL_PLATFORMS } from './transfer-flags.ts';

export const PUSHED_PLATFORM: List<'platform'> = list({
  name: 'platform',
  value: 'OS/ARCH[/VARIANT]',
  describe:
    'a platform to send (may be repeated; one alone goes without its index); without it, a push takes every platform all of which is here, a copy from a registry all',
});
export const PUSHED_INDEX: Choice<'index', 'keep' | 'flat' | 'rewrite'> = choice({
  name: 'index',
  choices: ['keep', 'flat', 'rewrite'],
  describe:
    'of an index that lists more than is sent: its bytes and digest (keep), the one manifest (flat), or an index of what is sent (rewrite); default keep, flat with one --platform',
});
export const PUSHED_REFERRERS: Bool<'referrers'> = bool({
  name: 'referrers',
  describe: 'send along what refers to the image: signatures, SBOMs',
});
export const ALLOW_FOREIGN: Bool<'allow-non-distributable-blobs'> = bool({
  name: 'allow-non-distributable-blobs',
  describe: 'send layers, too, that are not to be distributed',
});
export const MAX_CONCURRENT_UPLOADS: Count<'max-concurrent-uploaded-layers'> = count({
  name: 'max-concurrent-uploaded-layers',
  value: 'N',
  describe: 'blobs sent at once (default 6)',
});
export const CHUNK_SIZE: Size<'chunk-size'> = size({
  name: 'chunk-size',
  value: 'BYTES',
  describe:
    'send blobs in parts of this size, for a proxy that limits bodies: 50M (default: in one request, and in parts of 16 MiB after a lost connection)',
  notZero: 'nothing would ever go',
});

export const PUSH_FLAGS: readonly [
  ...typeof REGISTRY_FLAGS,
  ...typeof NETWORK_FLAGS,
  typeof PUSHED_PLATFORM,
  typeof ALL_PLATFORMS,
  typeof PUSHED_INDEX,
  typeof PUSHED_REFERRERS,
  typeof ALLOW_FOREIGN,
  typeof MAX_CONCURRENT_UPLOADS,
  typeof CHUNK_SIZE,
  ...typeof DISPLAY_FLAGS,
] = [
  ...REGISTRY_FLAGS,
  ...NETWORK_FLAGS,
  PUSHED_PLATFORM,
  ALL_PLATFORMS,
  PUSHED_INDEX,
  PUSHED_REFERRERS,
  ALLOW_FOREIGN,
  MAX_CONCURRENT_UPLOADS,
  CHUNK_SIZE,
  ...DISPLAY_FLAGS,
];
export type PushFlag = NamesOf<typeof PUSH_FLAGS>;

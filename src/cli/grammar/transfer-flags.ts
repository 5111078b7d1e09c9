/** The flags of commands that fetch images: `images pull` and `content fetch` have them all. */
import {
  type Bool,
  bool,
  type Choice,
  type Count,
  choice,
  count,
  type Duration,
  duration,
  type NamesOf,
  type Text,
  text,
} from './flag.ts';
import { DISPLAY_FLAGS, LABEL, PLATFORM } from './flags.ts';
import { GATE_FLAGS } from './gate-flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from './registry-flags.ts';

export const FOREIGN_URLS: Bool<'foreign-urls'> = bool({
  name: 'foreign-urls',
  describe: 'fetch content from URLs that the image names first, without credentials',
});

/** Of every command that fetches images. */
export const FETCH_FLAGS: readonly [...typeof REGISTRY_FLAGS, ...typeof NETWORK_FLAGS, typeof FOREIGN_URLS] =
  [...REGISTRY_FLAGS, ...NETWORK_FLAGS, FOREIGN_URLS];
export type FetchFlag = NamesOf<typeof FETCH_FLAGS>;

/** Of commands that take an image of the store, and fetch the image when it is not there. */
export const PULL: Choice<'pull', 'always' | 'missing' | 'never'> = choice({
  name: 'pull',
  choices: ['always', 'missing', 'never'],
  describe: 'whether the registry is asked for the image: default missing, when it is not in the store',
});

export const ALL_PLATFORMS: Bool<'all-platforms'> = bool({
  name: 'all-platforms',
  describe: 'take all platforms',
});
export const ALL_METADATA: Bool<'all-metadata'> = bool({
  name: 'all-metadata',
  describe: 'take manifests and configs of all platforms',
});
export const SKIP_METADATA: Bool<'skip-metadata'> = bool({
  name: 'skip-metadata',
  describe:
    'take no manifests and configs of other platforms (what happens without --all-metadata, but in containerd 2)',
});
export const FOR_CRI: Bool<'for-cri'> = bool({
  name: 'for-cri',
  describe:
    'inside containerd: record all that Kubernetes looks for: the ID, REPOSITORY@DIGEST and the name (default in namespace k8s.io; --for-cri=false: the name only)',
});
export const SIGNATURES: Bool<'signatures'> = bool({
  name: 'signatures',
  describe:
    'keep all signatures of the image in the store, for export and images verify --signatures (default those that let the image in)',
});
export const PIN: Bool<'pin'> = bool({
  name: 'pin',
  describe: 'pin the image: neither the kubelet nor images prune removes it',
});
/** How images are recorded. */
export const RECORD_FLAGS: readonly [typeof FOR_CRI, typeof PIN] = [FOR_CRI, PIN];
export type RecordFlag = NamesOf<typeof RECORD_FLAGS>;

export const MAX_CONCURRENT_DOWNLOADS: Count<'max-concurrent-downloads'> = count({
  name: 'max-concurrent-downloads',
  value: 'N',
  describe: 'downloads at once (default 6)',
});
export const FORCE: Bool<'force'> = bool({
  name: 'force',
  describe: 'start although the image cannot fit into the free space of the disk',
});
export const KEEP_PARTIAL: Duration<'keep-partial'> = duration({
  name: 'keep-partial',
  value: 'DURATION',
  describe:
    'how long what a failed run has fetched stays, for the next one to go on with (default 24h; 0: not at all)',
});
export const TRACE: Text<'trace'> = text({
  name: 'trace',
  value: 'FILE',
  describe: 'write where the time went, as a trace for ui.perfetto.dev or chrome://tracing',
});
export const REPORT: Text<'report'> = text({
  name: 'report',
  value: 'FILE.html',
  describe: 'write where the time went, as a page with a waterfall and the bottleneck named',
});

export const TRANSFER_FLAGS: readonly [
  ...typeof FETCH_FLAGS,
  typeof LABEL,
  typeof PLATFORM,
  typeof ALL_PLATFORMS,
  typeof ALL_METADATA,
  typeof SKIP_METADATA,
  ...typeof GATE_FLAGS,
  typeof SIGNATURES,
  ...typeof RECORD_FLAGS,
  typeof MAX_CONCURRENT_DOWNLOADS,
  typeof FORCE,
  typeof KEEP_PARTIAL,
  ...typeof DISPLAY_FLAGS,
  typeof TRACE,
  typeof REPORT,
] = [
  ...FETCH_FLAGS,
  LABEL,
  PLATFORM,
  ALL_PLATFORMS,
  ALL_METADATA,
  SKIP_METADATA,
  ...GATE_FLAGS,
  SIGNATURES,
  ...RECORD_FLAGS,
  MAX_CONCURRENT_DOWNLOADS,
  FORCE,
  KEEP_PARTIAL,
  ...DISPLAY_FLAGS,
  TRACE,
  REPORT,
];
export type TransferFlag = NamesOf<typeof TRANSFER_FLAGS>;

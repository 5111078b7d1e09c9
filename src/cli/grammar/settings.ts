/**
 * The keys of hawser.toml: flags whose values the file may give, by their names. A flag that has the same name and means something else
 * (--limit-rate of a server) gets no value there.
 */
import type { AnyFlag } from './flag.ts';
import { ADDRESS, CONTENT_SHARING, JOBS, NAMESPACE, PROGRESS, ROOT, SNAPSHOTTER } from './flags.ts';
import { GATE_FLAGS } from './gate-flags.ts';
import { LAYER_FLAGS } from './layer-flags.ts';
import { LOCKED } from './list-flags.ts';
import { CHUNK_SIZE, MAX_CONCURRENT_UPLOADS } from './push-flags.ts';
import { HOSTS_DIR, NETWORK_FLAGS, REACH, TLS_CA_CERT } from './registry-flags.ts';
import { FOR_CRI, KEEP_PARTIAL, MAX_CONCURRENT_DOWNLOADS, PIN, PULL } from './transfer-flags.ts';

export interface Setting {
  /** `limits.limit-rate`: with the table of the file. */
  readonly key: string;
  readonly flag: AnyFlag;
}

const [CODEC, ...LAYER_LIMITS] = LAYER_FLAGS;

const TABLES: Readonly<Record<string, readonly AnyFlag[]>> = {
  '': [ROOT, ADDRESS, NAMESPACE, CONTENT_SHARING, SNAPSHOTTER, HOSTS_DIR, TLS_CA_CERT, PROGRESS, CODEC],
  'limits.': [
    ...[JOBS, MAX_CONCURRENT_DOWNLOADS, MAX_CONCURRENT_UPLOADS, CHUNK_SIZE],
    ...NETWORK_FLAGS,
    ...LAYER_LIMITS,
    KEEP_PARTIAL,
  ],
  'policies.': [PULL, REACH, LOCKED, FOR_CRI, PIN, ...GATE_FLAGS],
};

export const SETTINGS: readonly Setting[] = Object.entries(TABLES).flatMap(([table, flags]) =>
  flags.map((flag) => ({ key: `${table}${flag.name}`, flag })),
);

/** What an import takes. */
import type { NameOptions } from '../carry/import-names.ts';
import type { ImportSource } from '../carry/open-archive.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import type { Platform } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Runtime } from '../runtime.ts';
import type { GateOptions } from './gate.ts';
import type { Job } from './job.ts';
import type { StoreDeps, VerbOptions } from './options.ts';
import type { ImportRecordOptions } from './record-imported.ts';

export interface ImportDeps extends StoreDeps {
  readonly runtime: Pick<Runtime, 'fs' | 'host'>;
}

export interface ImportOptions extends VerbOptions, NameOptions, ImportRecordOptions, GateOptions {
  readonly from: ImportSource;
  /** Of all bytes of the archive, as they come. With another one, nothing is recorded. */
  readonly digest?: Digest | undefined;
  /** Not given: the host's. */
  readonly platforms?: readonly Platform[] | 'all' | undefined;
  /** Of an archive that builds upon blobs which are not here: imports the images that are whole. */
  readonly completeOnly?: boolean | undefined;
  /** Default: true. */
  readonly unpack?: boolean | undefined;
  readonly snapshotter?: string | undefined;
  readonly layerSettings?: LayerSettings | undefined;
}

export type ImportJob = Job<ImportDeps, ImportOptions>;

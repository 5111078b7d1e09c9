/** The library's verbs for archives of images. */
import { absolutePath } from '../core/absolute-path.ts';
import { canceling } from '../core/async/abort.ts';
import type { Have } from '../core/carry/bundle.ts';
import { readHave } from '../core/carry/have.ts';
import type { Image } from '../core/images/image-store.ts';
import { type LayerSettings, settingsOf } from '../core/layers/layer-settings.ts';
import { defaultPlatform } from '../core/platforms/host.ts';
import type { Call } from '../core/ports/call.ts';
import type { Report } from '../core/progress/events.ts';
import { parseReference } from '../core/reference/parse.ts';
import {
  type ExportDeps,
  type ExportResult,
  type ExportTarget,
  exportImages as exportAll,
} from '../core/verbs/export.ts';
import { type ImportResult, importImages as importAll } from '../core/verbs/import.ts';
import { platformsOf } from './api.ts';
import { called, type OptionNames, SNAPSHOT_NAMES } from './called.ts';
import { type ApiGateOptions, apiGate, GATE_NAMES } from './gate.ts';
import { type AnyStore, partsOf } from './stores.ts';

/** What `exportImages` takes. */
export interface ApiExportOptions extends Call {
  /** Has the images. */
  readonly store: AnyStore;
  /**
   * A file that is made or replaced, once it is whole and durable; a directory that is made, or that is a layout, to which the
   * images are added; or whatever takes the bytes of an archive: they must not change until its promise resolves.
   */
  readonly to:
    | { readonly file: string }
    | { readonly directory: string }
    | ((bytes: Uint8Array) => Promise<void>);
  /** `docker`: as `docker save` did before layouts: one platform of each image, whose digest is lost. Default: `oci`. */
  readonly format?: 'oci' | 'docker' | undefined;
  /** `linux/arm64`; `'all'`: fails where one is not here. Default: every one that is here as a whole. */
  readonly platforms?: readonly string[] | 'all' | undefined;
  /**
   * Of an index that lists more than is exported: its bytes and digest (`keep`, the default), the one manifest (`flat`), or an index
   * of what is exported, under another digest (`rewrite`).
   */
  readonly index?: 'keep' | 'flat' | 'rewrite' | undefined;
  /** Fails where an index lists a platform that is not here. */
  readonly strict?: boolean | undefined;
  /** manifest.json, for readers of Docker's archives. Default `auto`: where they read the layers right; `never` in a directory. */
  readonly docker?: 'auto' | 'always' | 'never' | undefined;
  /** The annotation `org.opencontainers.image.ref.name`. Default: the tag, unless two images share it. */
  readonly refName?: 'tag' | 'full' | undefined;
  /**
   * Carries along the signatures of the images that are here, so that an import can be judged by them: those that a `pull` was judged by,
   * or brought with `signatures`, and those of an import. Default: true; never in a Docker archive.
   */
  readonly signatures?: boolean | undefined;
  /** Carries along whatever is here and is about the images: SBOMs, attestations. */
  readonly referrers?: boolean | undefined;
  /**
   * What the other side has, whose layers are left out: files that `hawser inventory` printed there, earlier archives or layouts.
   */
  readonly lacks?: readonly string[] | undefined;
  /** Around the archive. Default: what the file's name ends with (`.gz`, `.tgz`, `.zst`); `none` for other targets. */
  readonly compress?: 'none' | 'gzip' | 'zstd' | undefined;
  /** Seconds since the epoch, of all entries. Default: 0. */
  readonly mtime?: number | undefined;
  /** Gets what happens, as it happens: what is not here is a warning. */
  readonly onProgress?: Report | undefined;
}

const EXPORT_NAMES: OptionNames<ApiExportOptions> = {
  signal: true,
  store: true,
  to: { file: true, directory: true },
  format: true,
  platforms: true,
  index: true,
  strict: true,
  docker: true,
  refName: true,
  signatures: true,
  referrers: true,
  lacks: true,
  compress: true,
  mtime: true,
  onProgress: true,
};

/**
 * Writes images of the store, by their names, as an OCI image layout that other tools read. Every blob is hashed while it is copied, and
 * nothing is left of what could not be written whole. NotFound for what is not here, DataLoss for a blob that has rotted.
 *
 * ```ts
 * await exportImages(['alpine:3.20', 'busybox:1'], { store, to: { file: 'images.tar' } });
 * ```
 */
export async function exportImages(
  references: readonly string[],
  options: ApiExportOptions,
): Promise<ExportResult> {
  return await called(EXPORT_NAMES, options, async (options) => {
    const { store, to, platforms, lacks: paths = [], onProgress: report, ...rest } = options;
    const deps = depsOf(store);
    const names = [...new Set(references.map((one) => parseReference(one).name))];
    return await canceling(options.signal, async (signal) => {
      const images: Image[] = [];
      for (const name of names) images.push(await store.images.get(name, { signal }));
      const wanted = platformsOf(platforms, deps.hostPlatform);
      const haves: Have[] = [];
      for (const path of paths)
        haves.push(
          await readHave({ ...deps, fs: deps.runtime.fs }, absolutePath(path, deps.runtime.host), { signal }),
        );
      const target = targetOf(deps, to);
      return await exportAll(deps, images, {
        ...rest,
        lacks: haves.map((have) => async () => have),
        to: target,
        keepOut: rootOf(store),
        platforms: wanted,
        report,
        signal,
      });
    });
  });
}

function rootOf(store: AnyStore): string[] {
  return 'root' in store && typeof store.root === 'string' ? [store.root] : [];
}

/** What `importImages` takes. */
export interface ApiImportOptions extends Call, ApiGateOptions, Omit<LayerSettings, 'owner'> {
  /** Gets the images. */
  readonly store: AnyStore;
  /** An archive or a directory, by its path, or the bytes of an archive as they come. */
  readonly from: string | ReadableStream<Uint8Array>;
  /** `linux/arm64`; `'all'`: every one that the archive lists. Default: the host's. */
  readonly platforms?: readonly string[] | 'all' | undefined;
  /** The repository of images that the archive names by a tag only; of full names, those below it are taken. */
  readonly baseName?: string | undefined;
  /** The name of the one image that there is, whatever the archive says. */
  readonly name?: string | undefined;
  /** Records each image as `repository@digest`, too. */
  readonly digests?: boolean | undefined;
  /** Leaves out names that are refused. */
  readonly skipBadNames?: boolean | undefined;
  /**
   * Inside containerd: records all names that Kubernetes (CRI) looks for: the image's ID, `repository@digest` and the name. Default: in the
   * namespace that CRI reads, `k8s.io`.
   */
  readonly forCri?: boolean | undefined;
  /** Pins the image: garbage collections of Kubernetes and of hawser leave it alone. */
  readonly pin?: boolean | undefined;
  /** Of a name that another image has. Default: `replace`. */
  readonly onConflict?: 'replace' | 'keep' | 'error' | undefined;
  /** Of an archive that builds upon blobs which are not here: imports the images that are whole. */
  readonly completeOnly?: boolean | undefined;
  /** Default: true. */
  readonly unpack?: boolean | undefined;
  /** A name out of the store's `snapshotterNames`. Default: as for `snapshotter()` of the store. */
  readonly snapshotter?: string | undefined;
  /** For the image records. Labels that a record has already stay. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Gets what happens, as it happens. */
  readonly onProgress?: Report | undefined;
}

const IMPORT_NAMES: OptionNames<ApiImportOptions> = {
  ...GATE_NAMES,
  ...SNAPSHOT_NAMES,
  signal: true,
  store: true,
  from: true,
  platforms: true,
  baseName: true,
  name: true,
  digests: true,
  skipBadNames: true,
  forCri: true,
  pin: true,
  onConflict: true,
  completeOnly: true,
  unpack: true,
  snapshotter: true,
  labels: true,
  onProgress: true,
};

/**
 * Takes images out of an OCI image layout: an archive (plain, gzip or zstd) or a directory. Everything is verified, and images are
 * recorded last. What is in the store is not read again, and what an interrupted import has brought is kept for the next.
 *
 * Errors: InvalidArgument (no layout, a name that is refused), NotFound (a blob or a platform that the archive lacks), DataLoss (bytes
 * that are not those of their digest), AlreadyExists (`onConflict`), ResourceExhausted, FailedPrecondition (no snapshots can be made).
 *
 * ```ts
 * await importImages({ store, from: 'images.tar', unpack: false });
 * ```
 */
export async function importImages(options: ApiImportOptions): Promise<ImportResult> {
  return await called(IMPORT_NAMES, options, async (options) => {
    const { store, from, platforms, verify, verifiers, requireSigned, onProgress: report, ...rest } = options;
    const deps = depsOf(store);
    const source =
      typeof from === 'string'
        ? ({ type: 'path', path: absolutePath(from, deps.runtime.host) } as const)
        : ({ type: 'bytes', name: 'the archive', stream: from } as const);
    return await canceling(options.signal, (signal) =>
      importAll(deps, {
        ...rest,
        ...apiGate(partsOf(store).runtime, { verify, verifiers, requireSigned }),
        from: source,
        platforms: platformsOf(platforms, deps.hostPlatform),
        layerSettings: settingsOf(options),
        report,
        signal,
      }),
    );
  });
}

function depsOf(store: AnyStore): ExportDeps {
  const { backend, runtime } = partsOf(store);
  const { clock, hashers, codecs, host } = runtime;
  const hostPlatform = defaultPlatform(backend, host);
  return { backend, runtime, clock, hashers, codecs, hostPlatform, cpus: host.cpus };
}

function targetOf({ runtime }: ExportDeps, to: ApiExportOptions['to']): ExportTarget {
  if (typeof to === 'function') return { type: 'bytes', sink: { write: (bytes) => to(bytes) } };
  if ('file' in to) return { type: 'file', path: absolutePath(to.file, runtime.host) };
  return { type: 'directory', path: absolutePath(to.directory, runtime.host) };
}

/** Who an archive is made for, and the forms that they take (files of images that k3s, RKE2 and k0s import when they start). */
import { HawserError } from '../errors.ts';
import { compressionOfName, type OuterCompression } from './compressed-sink.ts';

/** Whom an archive is for. */
export type ArchiveReader = 'containerd' | 'docker' | 'k0s' | 'k3s' | 'rke2';

export const ARCHIVE_READERS: readonly ArchiveReader[] = ['containerd', 'docker', 'k0s', 'k3s', 'rke2'];

/** `names`: files of other names are passed over without a word, or read as something else. `only`: others cannot be read. */
interface Form {
  readonly names?: RegExp;
  readonly example?: string;
  readonly only?: OuterCompression;
  /** Reads manifest.json, and in old versions nothing else. */
  readonly wantsManifestJson?: boolean;
  /** From when on it takes an index of which a platform is missing. */
  readonly sparseSince?: string;
}

/** k3s goes by the suffix; it knows those of bzip2 and lz4, too, which hawser does not write. */
const SUFFIXES = /\.(?:tar|tar\.gz|tgz|tar\.zst|tzst)$/;
const OF_K3S: Form = { names: SUFFIXES, example: 'images.tar or images.tar.zst', sparseSince: 'May 2024' };
const FORMS: Readonly<Record<ArchiveReader, Form>> = {
  containerd: {},
  docker: { wantsManifestJson: true },
  k0s: { only: 'none' },
  k3s: OF_K3S,
  rke2: OF_K3S,
};

/** An archive before it is written. `name`: of its file; undefined for other targets. */
export interface ArchiveForm {
  readonly type: 'file' | 'directory' | 'bytes';
  readonly name: string | undefined;
  readonly compress: OuterCompression | undefined;
  readonly hasManifestJson: boolean;
}

/** InvalidArgument for an archive that the reader could not read. */
export function checkReader(reader: ArchiveReader, archive: ArchiveForm): void {
  const { names, example = '', only, wantsManifestJson } = FORMS[reader];
  const refuse = (why: string, hint: string): never => {
    throw new HawserError('InvalidArgument', `Cannot export for ${reader}: ${why}`, { hint });
  };
  const { type, name, compress } = archive;
  if (type === 'directory') refuse(`${reader} reads no directories`, 'Name a file, such as images.tar');
  if (names !== undefined && name !== undefined && !names.test(name))
    refuse(
      `${reader} takes no file of such a name for what hawser writes: ${name}`,
      `Name the file ${example}`,
    );
  const compression = compress ?? compressionOfName(name ?? '');
  const byName = compressionOfName(name ?? '');
  if (only !== undefined && compression !== only)
    refuse(`${reader} reads no archive with ${compression} around it`, 'Name the file images.tar');
  if (names !== undefined && name !== undefined && compression !== byName)
    refuse(
      `${reader} goes by the name ${name}, and --compress is ${compression}`,
      'Leave --compress away, or change the name',
    );
  if (wantsManifestJson === true && !archive.hasManifestJson)
    refuse(`older versions of ${reader} read nothing but manifest.json`, 'Leave --docker never away');
}

/** What is to be said of an index that is not here as a whole; '' for nothing. */
export function sparseNote(reader: ArchiveReader | undefined): string {
  const since = reader === undefined ? undefined : FORMS[reader].sparseSince;
  if (since === undefined) return '';
  return `; ${reader} takes that since ${since}, before only with --index flat or rewrite`;
}

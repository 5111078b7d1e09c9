/** Opens what is to be imported: what it is is told by its content. */

import { byteStream } from '../async/byte-stream.ts';
import { cleanedUp } from '../async/cleanup.ts';
import { DETECT_LENGTH, detectCompression } from '../codec/formats.ts';
import { hashed } from '../content/read.ts';
import { HawserError, wrap } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call, WriteCall } from '../ports/call.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { FileHandle, FileSystem } from '../ports/file-system.ts';
import type { Hashers } from '../ports/hashers.ts';
import { archiveHint } from './archive-hint.ts';
import { openDirectoryArchive } from './directory-archive.ts';
import { FileInput, openFileArchive } from './file-archive.ts';
import type { Archive } from './members.ts';
import { archiveBytes, checkFormat } from './outer-compression.ts';
import { readStreamArchive, type StreamDeps } from './stream-archive.ts';

/** `path`: absolute, of a file or a directory. */
export type ImportSource =
  | { readonly type: 'path'; readonly path: string }
  | {
      readonly type: 'bytes';
      readonly name: string;
      readonly stream: ReadableStream<Uint8Array>;
      /** Nobody minds when the stream is cancelled, as all that it has is here. */
      readonly mayStop?: boolean;
    };

export interface OpenDeps extends StreamDeps {
  readonly fs: FileSystem;
  readonly codecs: Codecs;
  readonly hashers: Hashers;
}

interface OpenCall extends WriteCall {
  /** Of all bytes of the archive, as they come. */
  readonly digest?: Digest | undefined;
}

/**
 * What is compressed, comes as a stream or has to have a digest goes into the store while it is read. Bytes of another digest are DataLoss
 * at the end of the archive.
 */
export async function openArchive(deps: OpenDeps, source: ImportSource, call: OpenCall): Promise<Archive> {
  const name = source.type === 'path' ? source.path : source.name;
  try {
    if (source.type === 'bytes')
      return await streamed(deps, name, source.stream, { ...call, mayStop: source.mayStop === true });
    if (call.digest !== undefined) {
      const file = await deps.fs.open(source.path, 'follow', undefined, call);
      return await streamed(deps, name, await fileStream(file), { ...call, mayStop: false });
    }
    const opened = await openInPlace(deps.fs, source.path, call);
    if (opened.type === 'archive') return opened.archive;
    return await streamed(deps, name, await fileStream(opened.file), { ...call, mayStop: true });
  } catch (err) {
    throw wrap(`Cannot read ${name}`, err, archiveHint(err));
  }
}

/** An archive of which any part can be read, or the file of one that is compressed: it is the caller's to close. */
export type InPlace =
  | { readonly type: 'archive'; readonly archive: Archive }
  | { readonly type: 'compressed'; readonly file: FileHandle };

export async function openInPlace(fs: FileSystem, path: string, call: Call): Promise<InPlace> {
  const info = await fs.stat(`${path}/.`, call).catch(() => undefined);
  if (info?.type === 'directory') return { type: 'archive', archive: openDirectoryArchive(fs, path) };
  const file = await fs.open(path, 'follow', undefined, call);
  let head: Uint8Array;
  try {
    const bytes = new Uint8Array(DETECT_LENGTH);
    head = bytes.subarray(0, await file.read(bytes, 0));
    checkFormat(head);
  } catch (err) {
    throw await cleanedUp(err, () => file.close());
  }
  if (detectCompression(head) !== 'identity') return { type: 'compressed', file };
  return { type: 'archive', archive: await openFileArchive(path, file, call) };
}

async function fileStream(file: FileHandle): Promise<ReadableStream<Uint8Array>> {
  const input = new FileInput(file, await file.size(), 1 << 20);
  return byteStream({ next: () => input.read({}), close: () => file.close() });
}

async function streamed(
  deps: OpenDeps,
  name: string,
  stream: ReadableStream<Uint8Array>,
  { digest, mayStop, ...call }: OpenCall & { readonly mayStop: boolean },
): Promise<Archive> {
  if (digest === undefined) {
    const { input, cancel } = await archiveBytes(stream, deps.codecs, call);
    return readStreamArchive(deps, name, { input, mayStop, cancel }, call);
  }
  const checked = withDigest(stream, digest, deps.hashers);
  const { input, cancel } = await archiveBytes(checked.stream, deps.codecs, call);
  return readStreamArchive(deps, name, { input, mayStop: false, cancel, check: checked.check }, call);
}

/** `check`: DataLoss where the bytes were not read to their end. */
function withDigest(stream: ReadableStream<Uint8Array>, digest: Digest, hashers: Hashers) {
  const reader = stream.getReader();
  const other = (wanted: string, actual: string) =>
    new HawserError('DataLoss', `the archive is ${actual}, and not ${wanted} as was asked for`, {
      hint: 'The archive was damaged or changed, or the digest is of another one',
    });
  let isWhole = false;
  const next = hashed(async () => (await reader.read()).value, digest, hashers, other);
  const bytes = async () => {
    const chunk = await next();
    isWhole = chunk === undefined;
    return chunk;
  };
  return {
    stream: byteStream({ next: bytes, cancel: (reason) => reader.cancel(reason) }),
    check: () => {
      if (!isWhole)
        throw new HawserError(
          'DataLoss',
          'the archive goes on after its end, so that its digest is not known',
          {
            hint: 'Give the digest of an archive that ends with its tar or its compression, or import it without a digest',
          },
        );
    },
  };
}

/** Where in the archive the layout is, and what it is. */
export interface ArchiveForm {
  readonly type: 'oci' | 'docker';
  /** '' or a directory with its slash. */
  readonly prefix: string;
}

const MARKS: ReadonlySet<string> = new Set(['oci-layout', 'index.json', 'manifest.json', 'repositories']);

/** At the top, or in the one directory that all is in (`tar cf x.tar layout`). An OCI layout goes before Docker's form, as in containerd. */
export async function formOf(archive: Archive, call: Call): Promise<ArchiveForm> {
  const byDirectory = new Map<string, Set<string>>();
  for (const name of await archive.names(call)) {
    const at = name.lastIndexOf('/');
    const [prefix, last] = [name.slice(0, at + 1), name.slice(at + 1)];
    if (!MARKS.has(last) || (prefix.indexOf('/') !== prefix.length - 1 && prefix !== '')) continue;
    byDirectory.set(prefix, (byDirectory.get(prefix) ?? new Set()).add(last));
  }
  const prefixes = byDirectory.has('') ? [''] : [...byDirectory.keys()];
  const [prefix = '', ...more] = prefixes;
  const marks = byDirectory.get(prefix) ?? new Set<string>();
  if (more.length > 0)
    throw unrecognized(archive, `it has ${prefixes.length} layouts: ${prefixes.slice(0, 10).join(', ')}`);
  // hauler leaves oci-layout out of an archive that is to be read by its manifest.json.
  if (marks.has('oci-layout') || (marks.has('index.json') && !marks.has('manifest.json')))
    return { type: 'oci', prefix };
  if (marks.has('manifest.json')) return { type: 'docker', prefix };
  if (!marks.has('repositories')) throw unrecognized(archive, 'it has no index.json and no manifest.json');
  throw new HawserError(
    'NotImplemented',
    `Cannot import ${archive.name}: it has the form of Docker before 1.10`,
    {
      hint: 'Save it again with Docker 1.10 or newer',
    },
  );
}

function unrecognized({ name }: Archive, why: string): HawserError {
  return new HawserError('InvalidArgument', `Cannot import ${name}: unrecognized image format: ${why}`, {
    hint: archiveHint(new HawserError('InvalidArgument', why)),
  });
}

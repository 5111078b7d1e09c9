/** What the other side has: an inventory, an earlier archive or its bundle.json, a layout, or a list of digests. */

import { byteStream } from '../async/byte-stream.ts';
import { closingAfter } from '../async/cleanup.ts';
import { HawserError, wrap } from '../errors.ts';
import { isDigest } from '../oci/digest.ts';
import { asObject } from '../oci/fields.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';
import type { Call } from '../ports/call.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { FileHandle, FileSystem } from '../ports/file-system.ts';
import type { Hashers } from '../ports/hashers.ts';
import { BUNDLE, type Have, idOf, MAX_BUNDLE, parseBundle } from './bundle.ts';
import { FileInput } from './file-archive.ts';
import { readForeign } from './foreign-directory.ts';
import { memoryMember, scan } from './members.ts';
import { archiveBytes } from './outer-compression.ts';
import { claimedDigest } from './stream-archive.ts';
import { type ByteInput, TarEntries } from './tar-entries.ts';

const HAVE_HINT =
  'Name a file of hawser inventory, an earlier archive or its bundle.json, a layout, or a list of digests; a relative path begins at the working directory';

export interface HaveDeps {
  readonly fs: FileSystem;
  readonly codecs: Codecs;
  readonly hashers: Hashers;
}

const MAX_TEXT: number = 64 << 20;
const HEAD = 512;

/** `path`: absolute. InvalidArgument for a file that tells nothing. */
export async function readHave(deps: HaveDeps, path: string, call: Call): Promise<Have> {
  try {
    const info = await deps.fs.stat(`${path}/.`, call).catch(() => undefined);
    const digests =
      info?.type === 'directory' ? await ofLayout(deps, path, call) : await ofFile(deps, path, call);
    if (digests.length === 0) throw new HawserError('InvalidArgument', 'it names no blob');
    return { id: idOf(digests, deps.hashers), digests: new Set(digests) };
  } catch (err) {
    throw wrap(`Cannot tell from ${path} what the other side has`, err, HAVE_HINT);
  }
}

/** The blobs that are there, and those that its bundle.json takes for granted. */
async function ofLayout(deps: HaveDeps, dir: string, call: Call): Promise<string[]> {
  const { fs } = deps;
  const digests: string[] = [];
  for (const { name, type } of await fs.list(`${dir}/blobs`, call)) {
    if (type !== 'directory') continue;
    for (const blob of await fs.list(`${dir}/blobs/${name}`, call)) digests.push(`${name}:${blob.name}`);
  }
  const bundle = await readForeign(fs, `${dir}/${BUNDLE}`, MAX_BUNDLE, call);
  if (bundle !== undefined) digests.push(...parseBundle(bundle, deps.hashers).digests);
  return digests.filter(isDigest);
}

async function ofFile(deps: HaveDeps, path: string, call: Call): Promise<string[]> {
  const file = await deps.fs.open(path, 'follow', undefined, call);
  return await closingAfter(
    async () => {
      const bytes = new Uint8Array(HEAD);
      const head = new TextDecoder().decode(bytes.subarray(0, await file.read(bytes, 0))).trimStart();
      if (head.startsWith('{')) return ofJson(await deps.fs.readFile(path, MAX_TEXT, call));
      if (/^sha\d+:/.test(head)) return ofLines(await deps.fs.readFile(path, MAX_TEXT, call));
      return await ofArchive(deps, file, call);
    },
    () => file.close(),
  );
}

/** Of `hawser inventory`, or bundle.json: digests, or objects with one. */
function ofJson(bytes: Uint8Array): string[] {
  const { blobs } = asObject(parseJson(bytes, 'it'), 'it:');
  if (!Array.isArray(blobs)) return [];
  return (blobs as readonly Json[])
    .map((one) => (typeof one === 'string' ? one : String((one as JsonObject | null)?.digest)))
    .filter(isDigest);
}

function ofLines(bytes: Uint8Array): string[] {
  const lines = new TextDecoder().decode(bytes).split('\n');
  return lines.map((line) => line.trim()).filter(isDigest);
}

async function ofArchive(deps: HaveDeps, file: FileHandle, call: Call): Promise<string[]> {
  const size = await file.size();
  const head = new Uint8Array(2);
  await file.read(head, 0);
  const isPlain = !(head[0] === 0x1f && head[1] === 0x8b) && !(head[0] === 0x28 && head[1] === 0xb5);
  if (isPlain) return await ofEntries(deps, new FileInput(file, size, 16 * 1024), call);
  const whole = new FileInput(file, size, 1 << 20);
  const { input, cancel } = await archiveBytes(byteStream({ next: () => whole.read({}) }), deps.codecs, call);
  return await closingAfter(
    () => ofEntries(deps, input, call),
    () => cancel(),
  );
}

async function ofEntries({ hashers }: HaveDeps, input: ByteInput, call: Call): Promise<string[]> {
  const entries = new TarEntries(input);
  const digests: string[] = [];
  await scan(
    entries,
    async (name, { size }) => {
      const digest = claimedDigest(name);
      if (digest !== undefined) digests.push(digest);
      if (!name.endsWith(BUNDLE) || size > MAX_BUNDLE) return { type: 'other' };
      const bytes = await entries.whole(size, call);
      digests.push(...parseBundle(bytes, hashers).digests);
      return memoryMember(bytes);
    },
    call,
    { members: new Map() },
  );
  return digests;
}

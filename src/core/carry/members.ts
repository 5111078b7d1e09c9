/** What an archive holds, by name. All of it is hostile. */
import { streamOf } from '../async/byte-stream.ts';
import type { ByteString } from '../bytes.ts';
import { display } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import { collected } from './sink.ts';
import type { ScannedEntry, TarEntries } from './tar-entries.ts';

export type Member =
  | {
      readonly type: 'file';
      readonly size: number;
      open(offset: number, call: Call): Promise<ReadableStream<Uint8Array>>;
    }
  /** It went into the store while it was read. */
  | { readonly type: 'stored'; readonly size: number; readonly digest: Digest }
  /** Its bytes were not those that its name says. */
  | { readonly type: 'wrong'; readonly size: number; readonly error: unknown }
  /** `target`: the name that it leads to; undefined where that is outside. */
  | { readonly type: 'link'; readonly target: string | undefined }
  | { readonly type: 'other' };

export interface Archive extends AsyncDisposable {
  /** For messages. */
  readonly name: string;
  /** Of an archive that is read once, from its start. */
  readonly arriving?: Arriving;
  /** Undefined when there is no such member; where members arrive, this waits for it. Names have no `./` before them. */
  find(name: string, call: Call): Promise<Member | undefined>;
  /** Names of members, enough of them to tell what the archive is. */
  names(call: Call): Promise<Iterable<string>>;
}

/** An archive whose members go into the store while it is read, wanted or not. */
export interface Arriving {
  /** What came with the archive, and was not in the store. */
  readonly brought: ReadonlySet<Digest>;
  /**
   * Waits until the member is in the store, or will not come. `tell`: called when the member begins to arrive, and while it does, with the
   * bytes so far.
   */
  follow(name: string, tell: (offset: number) => void, call: Call): Promise<void>;
  /** Nobody minds when the archive is not read to its end. */
  readonly mayStop: boolean;
  /** Waits for the end of the archive, and fails where the archive is malformed. */
  end(call: Call): Promise<void>;
}

/** More entries are refused: each takes memory. */
const MAX_ENTRIES = 100_000;
/** Members of which there can be one only: readers differ in which of two they take. */
const SINGLE: ReadonlySet<string> = new Set(['oci-layout', 'index.json', 'manifest.json', 'repositories']);

/** Without `.` and empty components; undefined for what is absolute or has `..`, which no member of an archive of ours has. */
export function memberName(name: ByteString): string | undefined {
  if (name.startsWith('/') || name.includes('\0')) return undefined;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.length === 0 || parts.includes('..') ? undefined : parts.join('/');
}

/** A member to be read whole. */
export function memoryMember(bytes: Uint8Array): Member {
  return { type: 'file', size: bytes.length, open: async (offset) => streamOf(bytes.subarray(offset)) };
}

/** What a scan has found. */
export interface Scanned {
  readonly members: Map<string, Member>;
  /** Called with the name of each member that is in `members` now. */
  added?(name: string): void;
}

/**
 * Puts all members into `found`; `keep` makes one of a file, whose content it may read. Of two of one name the first counts, as a
 * blob's bytes are checked anyway; but two documents that name images are refused.
 */
export async function scan(
  entries: TarEntries,
  keep: (name: string, entry: ScannedEntry) => Promise<Member>,
  call: Call,
  found: Scanned,
): Promise<void> {
  const { members } = found;
  for (let entry = await entries.next(call); entry !== undefined; entry = await entries.next(call)) {
    call.signal?.throwIfAborted();
    const name = memberName(entry.name);
    if (name === undefined || entry.type === 'directory') continue;
    const before = members.get(name);
    if (before !== undefined && SINGLE.has(name.slice(name.lastIndexOf('/') + 1)))
      throw new HawserError('InvalidArgument', `it has ${display(name)} twice`);
    // A copy of a blob whose first copy was wrong is no way out: readers differ in which they take.
    if (before !== undefined) continue;
    if (members.size >= MAX_ENTRIES)
      throw new HawserError('ResourceExhausted', `it has more than ${MAX_ENTRIES} entries`);
    members.set(name, await memberOf(name, entry, keep));
    found.added?.(name);
  }
}

async function memberOf(
  name: string,
  entry: ScannedEntry,
  keep: (name: string, entry: ScannedEntry) => Promise<Member>,
): Promise<Member> {
  if (entry.type === 'file') return entry.sparse ? { type: 'other' } : await keep(name, entry);
  if (entry.type !== 'symlink' && entry.type !== 'hardlink') return { type: 'other' };
  const at = name.lastIndexOf('/');
  const base = entry.type === 'symlink' && at >= 0 ? name.slice(0, at + 1) : '';
  return { type: 'link', target: insideName(base, entry.linkName) };
}

/** `link` taken from the directory `base`, lexically; undefined where it leads outside. */
function insideName(base: string, link: ByteString): string | undefined {
  if (link.startsWith('/')) return undefined;
  const parts: string[] = [];
  for (const part of `${base}${link}`.split('/')) {
    if (part === '..' && parts.pop() === undefined) return undefined;
    if (part !== '' && part !== '.' && part !== '..') parts.push(part);
  }
  return parts.join('/');
}

/** The member that `name` is or leads to, by links inside the archive (docker save writes such). */
export async function followed(archive: Archive, name: string, call: Call): Promise<Member | undefined> {
  let at: string | undefined = name;
  for (let links = 0; links <= 8 && at !== undefined; links++) {
    const member: Member | undefined = await archive.find(at, call);
    if (member?.type !== 'link') return member;
    at = member.target;
  }
  throw new HawserError('InvalidArgument', `${display(name)} is a link that leads nowhere`);
}

/** The whole content of a small member that must be a file. ResourceExhausted beyond `limit`. */
export async function readMember(
  name: string,
  member: Member,
  limit: number,
  open: (member: Member & { readonly size: number }) => Promise<ReadableStream<Uint8Array>>,
): Promise<Uint8Array> {
  if (member.type === 'wrong') throw member.error;
  if (member.type !== 'file' && member.type !== 'stored')
    throw new HawserError('InvalidArgument', `${display(name)} is no file`);
  if (member.size > limit)
    throw new HawserError(
      'ResourceExhausted',
      `${display(name)} has ${member.size} bytes, more than ${limit}`,
    );
  return await collected(display(name), member.size, await open(member));
}

/** Looks into a directory that another user may have made: nothing in the directory leads elsewhere. */
import { withOpen } from '../async/cleanup.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { FileInfo, FileSystem } from '../ports/file-system.ts';

/** The whole file; undefined when there is none. FailedPrecondition for a symlink and for what is no file, ResourceExhausted beyond `limit`. */
export async function readForeign(
  fs: FileSystem,
  path: string,
  limit: number,
  call: Call,
): Promise<Uint8Array | undefined> {
  if (!(await isOf(fs, path, 'file', call))) return undefined;
  return await withOpen(fs.open(path, 'read', undefined, call), async (file) => {
    const size = await file.size();
    if (size > limit)
      throw new HawserError('ResourceExhausted', `${path} has ${size} bytes, more than ${limit}`);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (let got = -1; at < size && got !== 0; at += got) got = await file.read(bytes.subarray(at), at);
    return bytes.subarray(0, at);
  });
}

/** Whether something is at `path`. FailedPrecondition when that has another type: a symlink has its own. */
export async function isOf(
  fs: FileSystem,
  path: string,
  type: FileInfo['type'],
  call: Call,
): Promise<boolean> {
  const found = await fs.stat(path, call);
  if (found === undefined || found.type === type) return found !== undefined;
  const what = found.type === 'other' ? 'a pipe, a socket or a device' : `a ${found.type}`;
  throw new HawserError('FailedPrecondition', `${path} is ${what}, not a ${type}`, {
    hint: 'Whoever may write to the directory may have put it there to mislead you; name another directory',
  });
}

/** What `name` is below the directory `dir`; 'other' where a directory on the way is a symlink or no directory. Undefined when absent. */
export async function foreignInfo(
  fs: FileSystem,
  dir: string,
  name: string,
  call: Call,
): Promise<FileInfo | 'other' | undefined> {
  for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
    const above = await fs.stat(`${dir}/${name.slice(0, at)}`, call);
    if (above?.type !== 'directory') return above && 'other';
  }
  return await fs.stat(`${dir}/${name}`, call);
}

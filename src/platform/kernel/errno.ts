/** Linux errno values (x86_64 and aarch64 have the same) and what they mean as a HawserError. */
import { visible } from '../../core/bytes.ts';
import { HawserError, type Kind } from '../../core/errors.ts';
import { ownUid } from './deno-permission.ts';

interface Meaning {
  readonly number: number;
  readonly kind: Kind;
  /** glibc's strerror in lower case: tools print it. */
  readonly text: string;
  readonly hint?: string;
}

const OPEN_FILES =
  'Raise the limit of open files (ulimit -n; fs.file-max for the system) or lower the parallelism';
const PRIVILEGE =
  ownUid() === 0
    ? 'Check the mode and the attributes of the path (lsattr), and what holds this process back: a user namespace, seccomp, SELinux'
    : 'Run as root, or check the owner and mode of the path';

const BUSY =
  'See what uses the path, and end that first: mounts (findmnt) and processes (fuser -vm PATH, lsof)';

const MEANINGS: Readonly<Record<string, Meaning>> = {
  EPERM: { number: 1, kind: 'PermissionDenied', text: 'operation not permitted', hint: PRIVILEGE },
  ENOENT: { number: 2, kind: 'NotFound', text: 'no such file or directory' },
  EINTR: { number: 4, kind: 'Internal', text: 'interrupted system call' },
  EIO: { number: 5, kind: 'Internal', text: 'input/output error', hint: 'Check the disk and the kernel log' },
  ENXIO: { number: 6, kind: 'FailedPrecondition', text: 'no such device or address' },
  E2BIG: { number: 7, kind: 'InvalidArgument', text: 'argument list too long' },
  EBADF: { number: 9, kind: 'Internal', text: 'bad file descriptor' },
  EAGAIN: { number: 11, kind: 'Unavailable', text: 'resource temporarily unavailable' },
  ENOMEM: { number: 12, kind: 'ResourceExhausted', text: 'cannot allocate memory' },
  EACCES: { number: 13, kind: 'PermissionDenied', text: 'permission denied', hint: PRIVILEGE },
  EFAULT: { number: 14, kind: 'Internal', text: 'bad address' },
  EBUSY: { number: 16, kind: 'FailedPrecondition', text: 'device or resource busy', hint: BUSY },
  EEXIST: { number: 17, kind: 'AlreadyExists', text: 'file exists' },
  EXDEV: { number: 18, kind: 'FailedPrecondition', text: 'invalid cross-device link' },
  ENODEV: { number: 19, kind: 'NotImplemented', text: 'no such device' },
  ENOTDIR: { number: 20, kind: 'FailedPrecondition', text: 'not a directory' },
  EISDIR: { number: 21, kind: 'FailedPrecondition', text: 'is a directory' },
  EINVAL: { number: 22, kind: 'InvalidArgument', text: 'invalid argument' },
  ENFILE: { number: 23, kind: 'ResourceExhausted', text: 'too many open files in system', hint: OPEN_FILES },
  EMFILE: { number: 24, kind: 'ResourceExhausted', text: 'too many open files', hint: OPEN_FILES },
  ETXTBSY: { number: 26, kind: 'FailedPrecondition', text: 'text file busy' },
  EFBIG: { number: 27, kind: 'ResourceExhausted', text: 'file too large' },
  ENOSPC: {
    number: 28,
    kind: 'ResourceExhausted',
    text: 'no space left on device',
    hint: 'Free space (and inodes) on that file system; hawser df shows what takes room in the store',
  },
  ESPIPE: { number: 29, kind: 'FailedPrecondition', text: 'illegal seek' },
  EROFS: {
    number: 30,
    kind: 'PermissionDenied',
    text: 'read-only file system',
    hint: 'Mount the file system writable, or use a path on another',
  },
  EMLINK: { number: 31, kind: 'ResourceExhausted', text: 'too many links' },
  ERANGE: { number: 34, kind: 'InvalidArgument', text: 'numerical result out of range' },
  ENAMETOOLONG: { number: 36, kind: 'InvalidArgument', text: 'file name too long' },
  ENOSYS: { number: 38, kind: 'NotImplemented', text: 'the kernel or the file system lacks this call' },
  ENOTEMPTY: { number: 39, kind: 'FailedPrecondition', text: 'directory not empty' },
  ELOOP: {
    number: 40,
    kind: 'FailedPrecondition',
    text: 'too many levels of symbolic links',
  },
  ENODATA: { number: 61, kind: 'NotFound', text: 'no data available' },
  EOVERFLOW: { number: 75, kind: 'InvalidArgument', text: 'value too large for defined data type' },
  EILSEQ: { number: 84, kind: 'InvalidArgument', text: 'invalid or incomplete multibyte or wide character' },
  ENOTSUP: { number: 95, kind: 'NotImplemented', text: 'operation not supported' },
  ESTALE: { number: 116, kind: 'Unavailable', text: 'stale file handle' },
  EDQUOT: {
    number: 122,
    kind: 'ResourceExhausted',
    text: 'disk quota exceeded',
    hint: 'Free space or raise the quota',
  },
};

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(MEANINGS).map(([name, m]) => [m.number, name]),
);

/** `errno 133` for one that the table does not have. */
export function errnoName(number: number): string {
  return NAMES.get(number) ?? `errno ${number}`;
}

/** 0 for a name that the table does not have. */
export function errnoNumber(name: string): number {
  return MEANINGS[name]?.number ?? 0;
}

/** The errno name in what a tool printed under LC_ALL=C, from the text at the end of a line. */
export function errnoOfText(printed: string): string | undefined {
  for (const line of printed.toLowerCase().split('\n')) {
    const text = line.slice(line.lastIndexOf(': ') + 2).replace(/\.$/, '');
    if (text === 'no such attribute') return 'ENODATA';
    for (const [name, meaning] of Object.entries(MEANINGS)) if (meaning.text === text) return name;
  }
  return undefined;
}

/**
 * The HawserError for a failed operation. `doing` says what was being done to what. Kinds are those that the ports
 * FileSystem and Syscalls state; its reason holds the name.
 */
export function errnoError(name: string, doing: string, cause?: unknown): HawserError {
  const errno = name === 'EOPNOTSUPP' ? 'ENOTSUP' : name;
  const meaning = MEANINGS[errno];
  const text = meaning === undefined ? errno : `${meaning.text} (${errno})`;
  return new HawserError(meaning?.kind ?? 'Internal', `${visible(doing)}: ${text}`, {
    hint: meaning?.hint,
    cause,
    reason: { type: 'errno', errno },
  });
}

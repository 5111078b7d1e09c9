import { absolutePath } from '../../core/absolute-path.ts';
import { byteStream } from '../../core/async/byte-stream.ts';
import type { ImportSource } from '../../core/carry/open-archive.ts';
import { usageError } from '../grammar/usage-error.ts';
import type { Context } from './context.ts';

/** The archive or directory that an argument names; `-` is standard input. */
export function archiveInput({ runtime: { host }, signal }: Context, path: string): ImportSource {
  if (path !== '-') return { type: 'path', path: absolutePath(path, host) };
  if (host.stdinIsTerminal)
    throw usageError('standard input is a terminal', 'Pipe an archive, or name a file');
  const stop = new AbortController();
  const stream = byteStream({
    next: () => host.readBytes({ signal: stop.signal }),
    cancel: (reason) => stop.abort(reason),
    signal,
  });
  return { type: 'bytes', name: 'standard input', stream };
}

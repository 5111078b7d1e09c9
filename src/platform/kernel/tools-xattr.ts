/** Extended attributes by getfattr and setfattr, of what the last arguments name (`Node.args` of tools-reach.ts). */
import { Buffer } from 'node:buffer';
import { type ByteString, fromUtf8, toBytes } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import { runTool } from './tools-run.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** An argument of a tool: the runtimes pass UTF-8 only. */
function argument(key: ByteString, doing: string): string {
  try {
    return utf8.decode(toBytes(key));
  } catch (cause) {
    throw new HawserError('NotImplemented', `${doing}: tools take no name that is not UTF-8`, {
      cause,
      hint: 'Use a runtime with FFI (Node 26.1 or newer; Deno with --allow-ffi)',
    });
  }
}

export function setXattr(target: readonly string[], key: ByteString, value: Uint8Array, doing: string): void {
  // setfattr takes an empty base64 value for no value at all, and sets nothing.
  const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64');
  const given = value.length === 0 ? [] : ['-v', `0s${text}`];
  runTool('setfattr', ['-n', argument(key, doing), ...given, ...target], doing);
}

export function removeXattr(target: readonly string[], key: ByteString, doing: string): void {
  runTool('setfattr', ['-x', argument(key, doing), ...target], doing);
}

export function allXattrs(target: readonly string[], doing: string): Map<ByteString, Uint8Array> {
  const args = ['-d', '-m', '-', '-e', 'base64', '--absolute-names', ...target];
  return parseXattrs(runTool('getfattr', args, doing));
}

/** What `getfattr -d -e base64` prints: `key=0sBASE64` lines, with backslash, newline, `=` and unprintables in keys as \ooo. */
export function parseXattrs(printed: string): Map<ByteString, Uint8Array> {
  const out = new Map<ByteString, Uint8Array>();
  for (const line of printed.split('\n')) {
    if (line === '' || line.startsWith('# file: ')) continue;
    const cut = line.indexOf('=');
    const key = fromUtf8(cut < 0 ? line : line.slice(0, cut));
    const value = cut < 0 ? '' : line.slice(cut + 1).replace(/^0s/, '');
    out.set(
      key.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
      new Uint8Array(Buffer.from(value, 'base64')),
    );
  }
  return out;
}

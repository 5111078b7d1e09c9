import { closingAfter } from '../async/cleanup.ts';
import type { Call } from '../ports/call.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { ByteSink } from './sink.ts';

/** What is around an archive. */
export type OuterCompression = 'none' | 'gzip' | 'zstd';

/** The compression that the name of an archive asks for, by the suffixes that k3s and tar know. */
export function compressionOfName(name: string): OuterCompression {
  if (/\.(?:gz|tgz)$/.test(name)) return 'gzip';
  return /\.(?:zst|zstd|tzst)$/.test(name) ? 'zstd' : 'none';
}

/** Runs `write` over a sink whose bytes reach `out` compressed. */
export async function withCompression(
  codecs: Codecs,
  compression: OuterCompression,
  out: ByteSink,
  call: Call,
  write: (out: ByteSink) => Promise<void>,
): Promise<void> {
  if (compression === 'none') return await write(out);
  const compressor = await codecs.compressor(compression);
  const pass = async (pieces: readonly Uint8Array[]): Promise<void> => {
    for (const piece of pieces) await out.write(piece, call);
  };
  await closingAfter(
    async () => {
      await write({ write: async (bytes) => pass(await compressor.write(bytes)) });
      await pass(await compressor.end());
    },
    async () => compressor.close(),
  );
}

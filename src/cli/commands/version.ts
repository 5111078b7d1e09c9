import type { Codec } from '../../core/ports/codecs.ts';
import type { Runtime } from '../../core/runtime.ts';
import { type Bool, bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { VERSION, versionLine } from '../version.ts';
import { type Command, command } from './command.ts';

const VERBOSE: Bool<'verbose'> = bool({
  name: 'verbose',
  describe: 'print what decompresses layers, too',
});

interface FoundCodec extends Pick<Codec, 'compression' | 'library' | 'implementation'> {}

/** What `--codec auto` takes for each format of layers. */
async function findCodecs({ codecs }: Pick<Runtime, 'codecs'>): Promise<FoundCodec[]> {
  const found = await Promise.all((['gzip', 'zstd'] as const).map((name) => codecs.get(name)));
  return found.map(({ compression, library, implementation }) => ({ compression, library, implementation }));
}

export const version: Command = command({
  path: ['version'],
  args: [],
  summary: 'print the version',
  flags: [VERBOSE, JSON_DOCUMENT],
  run: async ({ runtime }, input) => {
    const { runtime: name, runtimeVersion, os, arch } = runtime.host;
    const codecs = input.get(VERBOSE) ? await findCodecs(runtime) : undefined;
    const members = { version: VERSION, runtime: name, runtimeVersion, os, arch, ...(codecs && { codecs }) };
    const lines = [
      versionLine(runtime),
      ...(codecs ?? []).map((one) => `${one.compression}: ${one.library} (${one.implementation})`),
    ];
    return { view: { type: 'answer', of: 'version', lines, members, json: input.get(JSON_DOCUMENT) } };
  },
});

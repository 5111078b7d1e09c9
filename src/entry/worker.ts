/** The body of a worker: system calls, hashers and codecs of the runtime it is on, one call at a time. */
import { parentPort } from 'node:worker_threads';
import { toRecord } from '../core/errors.ts';
import type { Syscalls } from '../core/ports/syscalls.ts';
import { copyTree, removeTree, treeUsage } from '../core/snapshots/tree.ts';
import { applyLayer } from '../core/unpack/apply-layer.ts';
import { parseRequest, type Verb, type Verbs, type WorkerReply } from '../core/unpack/worker-protocol.ts';
import { openBlob } from '../platform/common/blob-reader.ts';
import { createHashers } from '../platform/common/hashers.ts';
import { lazyCodecs } from '../platform/common/lazy.ts';
import { chosenProvider } from '../platform/common/provider-choice.ts';
import { quietWarnings } from '../platform/node/quiet-warnings.ts';

const hashers = createHashers();
const codecs = lazyCodecs();
let opened: Promise<Syscalls> | undefined;

function reply(message: WorkerReply): void {
  parentPort?.postMessage(message);
}

async function openSyscalls(): Promise<Syscalls> {
  const provider = chosenProvider();
  const module = await ('Deno' in globalThis
    ? import('../platform/deno/syscalls.ts')
    : import('../platform/node/syscalls.ts'));
  return module.openSyscalls(provider);
}

const onProgress = (bytes: number) => reply({ type: 'progress', bytes });

async function serve(value: unknown): Promise<Verbs[Verb]['output']> {
  const { verb, input } = parseRequest(value);
  opened ??= openSyscalls();
  const syscalls = await opened;
  switch (verb) {
    case 'apply':
      return applyLayer(input, { syscalls, hashers, codecs, openBlob, onProgress });
    case 'copyTree':
      copyTree(syscalls, input.from, input.to);
      return null;
    case 'usage':
      return treeUsage(syscalls, input);
    case 'removeTree':
      removeTree(syscalls, input);
      return null;
    case 'syncfs':
      for (const path of input) {
        const dir = syscalls.openRoot(path);
        try {
          syscalls.syncfs(dir);
        } finally {
          syscalls.closeDir(dir);
        }
      }
      return null;
  }
}

quietWarnings();
parentPort?.on('message', (value) => {
  serve(value).then(
    (output) => reply({ type: 'done', output }),
    (err) => reply({ type: 'failed', error: toRecord(err) }),
  );
});

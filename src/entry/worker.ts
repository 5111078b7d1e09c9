/** The body of a worker, over the system calls, hashers and codecs of its runtime: one call at a time. */
import { setImmediate } from 'node:timers';
import { parentPort, workerData } from 'node:worker_threads';
import { KnownStore } from '../core/archive/known-layers.ts';
import { Windows } from '../core/codec/windows.ts';
import { HawserError, toRecord } from '../core/errors.ts';
import { applyLayer } from '../core/layers/apply-layer.ts';
import { checkLayers } from '../core/layers/check-layers.ts';
import { polledSignal } from '../core/layers/polled-signal.ts';
import { rebaseLayer } from '../core/layers/rebase-layer.ts';
import { syncFileSystem } from '../core/layers/sync-file-system.ts';
import type {
  Verb,
  Verbs,
  WorkerAbort,
  WorkerData,
  WorkerReply,
  WorkerRequest,
} from '../core/layers/worker-protocol.ts';
import type { Syscalls } from '../core/ports/syscalls.ts';
import { refuseMountsIn } from '../core/trees/mounts.ts';
import { removeTree } from '../core/trees/remove-tree.ts';
import { copyTree } from '../core/trees/tree-copy.ts';
import { treeUsage } from '../core/trees/tree-usage.ts';
import { createHashers } from '../platform/codecs/hashers.ts';
import { chosenProvider } from '../platform/kernel/provider-choice.ts';
import { copyTreeByTool } from '../platform/kernel/tools-copy.ts';
import { quietWarnings } from '../platform/node/quiet-warnings.ts';
import { createClock } from '../platform/process/clock.ts';
import { lazyCodecs } from '../platform/process/lazy.ts';
import { openBlob } from '../platform/threads/blob-reader.ts';
import { runtimeKernel } from './kernel.ts';

const { aborted, windows, number } = workerData as WorkerData;
const hashers = createHashers();
const codecs = lazyCodecs(new Windows(windows, number));
const clock = createClock();
const known = new KnownStore();

function reply(message: WorkerReply): void {
  parentPort?.postMessage(message);
}

async function openSyscalls(): Promise<Syscalls> {
  const provider = chosenProvider();
  return (await runtimeKernel()).openSyscalls(provider);
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** Opened at once: a worker is started when a call is near. */
const opened = openSyscalls();
opened.catch(() => {});

const onProgress = (bytes: number) => reply({ type: 'progress', bytes });

async function serve({ verb, input }: WorkerRequest, signal: AbortSignal): Promise<Verbs[Verb]['output']> {
  const syscalls = await opened;
  const call = { signal };
  switch (verb) {
    case 'apply':
      return applyLayer(input, { syscalls, hashers, codecs, clock, openBlob, turn, onProgress }, call);
    case 'rebase':
      return rebaseLayer(syscalls, input, call, known.layers(input.store)) ?? null;
    case 'check':
      return checkLayers(input, { syscalls, hashers, codecs, clock, openBlob, turn, onProgress }, call);
    case 'copyTree':
      if (syscalls.provider === 'ffi') copyTree(syscalls, input.from, input.to, call);
      else {
        refuseMountsIn(syscalls, input.from, `copying ${JSON.stringify(input.from)}`);
        await copyTreeByTool(input.from, input.to, call);
      }
      return null;
    case 'usage':
      return treeUsage(syscalls, input, call);
    case 'removeTree':
      removeTree(syscalls, input, call);
      return null;
    case 'syncfs':
      for (const dir of input) {
        signal.throwIfAborted();
        syncFileSystem(syscalls, dir);
      }
      return null;
  }
}

/** Holds the number of the call to abort; see worker-protocol.ts. */
const abortedCall = new Int32Array(aborted);
let running: { readonly call: number; abort(): void } | undefined;

function take(message: WorkerRequest | WorkerAbort): void {
  if ('abort' in message) {
    if (running?.call === message.abort) running.abort();
    return;
  }
  const { call } = message;
  const { signal, abort } = polledSignal(
    () => Atomics.load(abortedCall, 0) === call,
    () => new HawserError('Canceled', `The call for ${message.verb} was aborted`),
  );
  running = { call, abort };
  serve(message, signal).then(
    (output) => reply({ type: 'done', output }),
    (err) => reply({ type: 'failed', error: toRecord(err) }),
  );
}

quietWarnings();
parentPort?.on('message', take);

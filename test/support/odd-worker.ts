/** A worker that speaks the protocol and misbehaves on demand: the path of `usage` or `removeTree` says how. */
import { appendFileSync } from 'node:fs';
import process from 'node:process';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { Windows } from '../../src/core/codec/windows.ts';
import { HawserError, type Kind, toRecord } from '../../src/core/errors.ts';
import type {
  WorkerAbort,
  WorkerData,
  WorkerReply,
  WorkerRequest,
} from '../../src/core/layers/worker-protocol.ts';

let calls = 0;
const data = workerData as WorkerData;
const aborted = new Int32Array(data.aborted);

function reply(message: WorkerReply): void {
  parentPort?.postMessage(message);
}

function done(size: number, inodes: number): void {
  reply({ type: 'done', output: { size, inodes } });
}

function failed(kind: Kind, message: string): void {
  reply({
    type: 'failed',
    error: toRecord(
      new HawserError(kind, message, { hint: 'try thread', reason: { type: 'errno', errno: 'E' } }),
    ),
  });
}

const ACTS: Readonly<Record<string, (call: number, file: string) => void>> = {
  thread: () => done(threadId, calls),
  /** Keeps the memory of the largest window. */
  full() {
    const reserved = new Windows(data.windows, data.number).reserve(2 ** 27, new AbortController().signal);
    reserved.then(() => done(threadId, calls));
  },
  /** Writes until it sees that it is to stop. */
  spin(call, file) {
    while (Atomics.load(aborted, 0) !== call) appendFileSync(file, 'x');
    failed('Canceled', 'aborted');
  },
  /** Writes and never looks. */
  stuck(_call, file) {
    for (;;) appendFileSync(file, 'x');
  },
  /** Waits for the message that aborts it. */
  wait() {},
  never() {},
  crash() {
    setTimeout(() => {
      throw new Error('it went wrong');
    }, 0);
  },
  exit: () => process.exit(7),
  progress() {
    for (const bytes of [1, 2, 3]) reply({ type: 'progress', bytes });
    done(0, 0);
  },
};

let waiting = 0;

parentPort?.on('message', (request: WorkerRequest | WorkerAbort) => {
  if ('abort' in request) {
    if (waiting === request.abort) failed('Canceled', 'aborted');
    return;
  }
  calls++;
  const { call, verb, input } = request;
  const asked = verb === 'usage' || verb === 'removeTree' ? input : verb === 'apply' ? input.blob : '';
  const [how = '', file = ''] = asked.split(':');
  waiting = how === 'wait' ? call : 0;
  const act = ACTS[how];
  if (act === undefined) failed('OutOfRange', `no ${how}`);
  else act(call, file);
});

/** Commands in this process: what they print, and how they end. */
import assert from 'node:assert/strict';
import { main } from '../../src/cli/main.ts';
import type { Output } from '../../src/core/ports/host.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { checkPrinted } from './json-schema.ts';

/** How a command ended. */
export interface RanHere {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Of standard output. */
  readonly bytes: Uint8Array;
}

/** An output that is no terminal, and keeps what it gets. */
export interface Collector extends Output {
  bytes(): Uint8Array;
  text(): string;
}

export function collector(): Collector {
  const all: Uint8Array[] = [];
  const bytes = (): Uint8Array => new Uint8Array(Buffer.concat(all));
  return {
    isTerminal: false,
    columns: () => undefined,
    write: async (data) =>
      void all.push(typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data)),
    bytes,
    text: () => new TextDecoder().decode(bytes()),
  };
}

/** The lines above them say what to do; or the user did that. */
const NO_HINT =
  /^hawser: (?:.*images? (?:or archives )?failed|.*tags moved|interrupted|.*may not come in|.*still)$/m;

/** An error that a command ends with says what its user can do. */
function checkHint(stderr: string): void {
  const line = /^hawser: .*$/m.exec(stderr)?.[0];
  if (line !== undefined && !NO_HINT.test(line))
    assert.ok(/^hint: ./m.test(stderr), `an error without a hint: ${line}`);
}

/** Runs `hawser --root root args` with no variables of the environment, and without taking signals. */
export async function runHere(runtime: Runtime, root: string, args: readonly string[]): Promise<RanHere> {
  const [stdout, stderr] = [collector(), collector()];
  const onInterrupt = (): Disposable => ({ [Symbol.dispose]: () => {} });
  const host = { ...runtime.host, stdout, stderr, onInterrupt, env: () => undefined };
  const code = await main({ ...runtime, host }, ['--root', root, ...args]);
  const ran = { code, out: stdout.text(), err: stderr.text(), bytes: stdout.bytes() };
  checkPrinted(args, { stdout: ran.out, stderr: ran.err });
  checkHint(ran.err);
  // A ref of containerd's is no word for people.
  if (!args.includes('active')) assert.doesNotMatch(ran.out, /^unknown-sha/m);
  return ran;
}

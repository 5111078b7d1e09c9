/** The host over node:process, which Deno has too. Facts that the runtime forbids to ask have fallbacks. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { availableParallelism, constants, machine } from 'node:os';
import process from 'node:process';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { HostSystem, Output } from '../../core/ports/host.ts';
import { isGranted, mayRead, ownUid } from '../kernel/deno-permission.ts';
import type { RuntimeParts } from '../parts.ts';
import { amd64Variant, armVariant, goArch, goOs, littleEndian } from './machine.ts';
import { StdinLines } from './stdin-lines.ts';
import { isTerminal } from './terminal.ts';

/** The user `nobody`, where Deno may not ask for the uid. */
const UNKNOWN_UID = 65534;

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type Interrupt = (typeof INTERRUPTS)[number];

/** `fallback` where the runtime forbids (Deno's NotCapable) or lacks it. */
function allowed<T>(get: () => T, fallback: T): T {
  try {
    return get();
  } catch {
    return fallback;
  }
}

const CPUINFO = '/proc/cpuinfo';
/** Bytes of CPUINFO that hold its first processor. The kernel makes the file as it is read: the rest costs time. */
const FIRST_PROCESSOR = 8192;

function variantOf(arch: string): string {
  const read = (get: () => string): string => (mayRead(CPUINFO) ? allowed(get, '') : '');
  if (arch === 'amd64') return amd64Variant(read(() => beginningOf(CPUINFO, FIRST_PROCESSOR)));
  return armVariant(
    arch,
    arch === 'arm' ? read(() => readFileSync(CPUINFO, 'utf8')) : '',
    allowed(machine, ''),
  );
}

function beginningOf(path: string, length: number): string {
  const bytes = new Uint8Array(length);
  const handle = openSync(path, 'r');
  try {
    return new TextDecoder().decode(bytes.subarray(0, readSync(handle, bytes, 0, length, 0)));
  } finally {
    closeSync(handle);
  }
}

export function createProcessHost({
  name,
  version,
  random,
}: Pick<RuntimeParts, 'name' | 'version' | 'random'>): HostSystem {
  const lines = new StdinLines();
  let variant: string | undefined;
  // Before the runtime sets handlers of its own.
  const ignored = inheritedIgnored();
  const arch = goArch(process.arch, littleEndian);
  return {
    runtime: name,
    runtimeVersion: version,
    os: goOs(process.platform),
    arch,
    /** Read when asked for: few commands care. */
    get variant() {
      variant ??= variantOf(arch);
      return variant;
    },
    pid: process.pid,
    uid: ownUid() ?? UNKNOWN_UID,
    cpus: Math.max(1, allowed(availableParallelism, undefined) ?? navigator.hardwareConcurrency),
    args: process.argv.slice(2),
    cwd: workingDirectory,
    env: (name) => (isGranted({ name: 'env', variable: name }) ? process.env[name] : undefined),
    stdout: new ProcessOutput('stdout', 1),
    stderr: new ProcessOutput('stderr', 2),
    stdinIsTerminal: isTerminal(0),
    readLine: (opts) => lines.read(opts),
    readBytes: (call) => lines.bytes(call),
    onInterrupt: (handler) => listen(ignored, handler),
    random,
  };
}

/**
 * The interrupts that the parent has set to be ignored (nohup, background jobs of a script). None where /proc may not be read,
 * and none on Node, which gives every signal its default at its start; the static executable keeps it from that.
 */
function inheritedIgnored(): ReadonlySet<Interrupt> {
  const path = '/proc/self/status';
  const status = mayRead(path) ? allowed(() => readFileSync(path, 'latin1'), '') : '';
  // A bit for each signal, signal 1 the lowest (proc(5)).
  const bits = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return new Set(INTERRUPTS.filter((name) => ((bits >> BigInt(constants.signals[name] - 1)) & 1n) === 1n));
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (err) {
    throw new HawserError('FailedPrecondition', `Cannot tell the working directory: ${messageOf(err)}`, {
      cause: err,
      hint: 'Change to a directory that exists, or give absolute paths',
    });
  }
}

/** `ignored`: heard without effect. Deno would end at a signal that nobody listens to. */
function listen(ignored: ReadonlySet<Interrupt>, handler: (signal: Interrupt) => void): Disposable {
  const handlers = INTERRUPTS.map(
    (name) => [name, ignored.has(name) ? () => {} : () => handler(name)] as const,
  );
  for (const [name, handle] of handlers) process.on(name, handle);
  return {
    [Symbol.dispose]() {
      for (const [name, handle] of handlers) process.off(name, handle);
    },
  };
}

class ProcessOutput implements Output {
  readonly isTerminal: boolean;
  readonly #name: 'stdout' | 'stderr';
  #watched = false;

  constructor(name: 'stdout' | 'stderr', fd: number) {
    this.#name = name;
    this.isTerminal = isTerminal(fd);
  }

  columns(): number | undefined {
    return this.isTerminal ? process[this.#name].columns || 80 : undefined;
  }

  rows(): number | undefined {
    return this.isTerminal ? process[this.#name].rows || undefined : undefined;
  }

  write(data: string | Uint8Array): Promise<void> {
    const stream = process[this.#name];
    // The callback gets the failure; the event would end the process without a listener.
    if (!this.#watched) stream.on('error', () => {});
    this.#watched = true;
    return new Promise((resolve, reject) => {
      const done = (err: (Error & { code?: string }) | null | undefined): void => {
        if (err == null) resolve();
        else reject(this.#failure(err));
      };
      try {
        stream.write(data, done);
      } catch (err) {
        // Deno throws for a stream of a file.
        done(err as Error);
      }
    });
  }

  #failure(err: Error & { code?: string }): HawserError {
    const closed = err.code === 'EPIPE' || err.code === 'ERR_STREAM_DESTROYED';
    const kind = closed ? 'Aborted' : err.code === 'ENOSPC' ? 'ResourceExhausted' : 'Internal';
    return new HawserError(kind, `Cannot write to ${this.#name}: ${messageOf(err)}`, { cause: err });
  }
}

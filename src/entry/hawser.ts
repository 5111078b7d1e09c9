/** The command line, on Node and on Deno. The build bundles this module into one file. */
import process from 'node:process';
import { main } from '../cli/main.ts';
import { hintOf, messageOf } from '../core/errors.ts';
import { requireGranted } from '../platform/kernel/deno-permission.ts';
import { quietWarnings } from '../platform/node/quiet-warnings.ts';
import { defaultRuntime } from './library.ts';

/** 128 + SIGUSR1. */
const SIGUSR1_EXIT = 138;

/**
 * Node and Deno open their inspector at SIGUSR1, and every local user could run code in this process by way of it. On Node a
 * listener takes the signal away from the inspector, and the signal has no effect. Deno opens the inspector beside the
 * listener: there the signal ends the process at once, as the kernel's default would.
 */
function noInspector(): void {
  process.on('SIGUSR1', 'Deno' in globalThis ? () => process.exit(SIGUSR1_EXIT) : () => {});
}

/** Node's permission model (--permission) takes fsync(2) away, without which nothing that is stored is durable. */
function hasSync(): boolean {
  return 'Deno' in globalThis || process.permission === undefined;
}

async function start(): Promise<number> {
  quietWarnings();
  if (!hasSync()) {
    process.stderr.write(
      'hawser: Node’s --permission disables fsync, without which nothing stored is durable\n',
    );
    process.stderr.write(
      'hint: Run hawser without --permission, or in a sandbox of Deno: deno run --allow-read=DIR ...\n',
    );
    return 1;
  }
  requireGranted({ name: 'env' }, 'reading the environment');
  const runtime = await defaultRuntime();
  // After the runtime has read the inherited dispositions, which Deno changes at the first listener.
  noInspector();
  return await main(runtime, runtime.host.args);
}

/** Tells what kept the program from starting. `run` (cli/) tells all other errors. */
function failed(err: unknown): number {
  process.stderr.write(`hawser: cannot start: ${messageOf(err)}\n`);
  const hint = hintOf(err);
  if (hint !== undefined) process.stderr.write(`hint: ${hint}\n`);
  return 1;
}

// All output is written when main returns. Exits at once: nothing that is still open may keep the process alive.
start()
  .catch(failed)
  .then((code) => process.exit(code));

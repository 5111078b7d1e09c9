/** The command line, on Node and on Deno. The build bundles this module into one file. */
import process from 'node:process';
import { main } from '../cli/main.ts';
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

async function start(): Promise<number> {
  quietWarnings();
  const runtime = await defaultRuntime();
  // After the runtime has read the inherited dispositions, which Deno changes at the first listener.
  noInspector();
  return await main(runtime, runtime.host.args);
}

// All output is written when main returns. Exits at once: nothing that is still open may keep the process alive.
start().then((code) => process.exit(code));

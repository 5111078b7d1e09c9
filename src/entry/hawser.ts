/** The command line, on Node and on Deno. The build bundles this module into one file. */
import process from 'node:process';
import { main } from '../cli/main.ts';
import { quietWarnings } from '../platform/node/quiet-warnings.ts';
import { defaultRuntime } from './library.ts';

async function start(): Promise<number> {
  quietWarnings();
  const runtime = await defaultRuntime();
  return await main(runtime, runtime.host.args);
}

// All output is written when main returns. Exits at once: nothing that is still open may keep the process alive.
start().then((code) => process.exit(code));

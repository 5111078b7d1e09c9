/** The command line on whichever runtime this is: what is bundled into the one file. */
import process from 'node:process';
import { main } from '../cli/main.ts';
import { quietWarnings } from '../platform/node/quiet-warnings.ts';
import { defaultRuntime } from './library.ts';

async function start(): Promise<number> {
  quietWarnings();
  const runtime = await defaultRuntime();
  return await main(runtime, runtime.host.args);
}

// main has written all it had to write when it returns; nothing that is still open may keep the process.
start().then((code) => process.exit(code));

import process from 'node:process';
import { main } from '../cli/main.ts';
import { createDenoRuntime } from '../platform/deno/runtime.ts';
import { workerUrl } from './worker-url.ts';

const runtime = createDenoRuntime({ workerUrl: workerUrl() });
// main has written all it had to write when it returns; nothing that is still open may keep the process.
main(runtime, runtime.host.args).then((code) => process.exit(code));

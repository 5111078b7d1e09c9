#!/usr/bin/env node
import process from 'node:process';
import { main } from '../cli/main.ts';
import { quietWarnings } from '../platform/node/quiet-warnings.ts';
import { createNodeRuntime } from '../platform/node/runtime.ts';
import { workerUrl } from './worker-url.ts';

quietWarnings();
const runtime = createNodeRuntime({ workerUrl: workerUrl() });
// main has written all it had to write when it returns; nothing that is still open may keep the process.
main(runtime, runtime.host.args).then((code) => process.exit(code));

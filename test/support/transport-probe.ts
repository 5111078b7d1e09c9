/** A process that sends one request: `transport-probe.ts URL NAME`, NAME as in the suite. Prints the status, or the code of the failure. */
import process from 'node:process';
import { codeOf } from '../../src/core/registry/failures.ts';
import { createTransports } from '../../src/platform/deno/transport.ts';
import { undiciTransports } from '../../src/platform/http/undici-transport.ts';

const transports = process.argv[3] === 'deno-fetch' ? createTransports() : undiciTransports();
const transport = transports.open();
const url = new URL(process.argv[2] ?? '');
const said = await transport.send({ method: 'HEAD', url, headers: {} }).then(({ status }) => status, codeOf);
await transport[Symbol.asyncDispose]();
process.stdout.write(`${said}\n`);

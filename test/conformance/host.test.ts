import process from 'node:process';
import { createDenoHost } from '../../src/platform/deno/host.ts';
import { createNodeHost } from '../../src/platform/node/host.ts';
import { hostSuite } from '../suites/host.ts';
import { isDeno } from '../support/needs.ts';

if (isDeno) hostSuite('deno', createDenoHost(), [process.execPath, 'run', '-A', '--no-check', '--quiet']);
else hostSuite('node', createNodeHost(), [process.execPath, '--disable-warning=ExperimentalWarning']);

import process from 'node:process';
import { createProcessHost } from '../../src/platform/process/process-host.ts';
import { hostSuite } from '../suites/host.ts';
import { isDeno } from '../support/needs.ts';
import { parts } from '../support/this-runtime.ts';

const command = isDeno ? ['run', '-A', '--no-check', '--quiet'] : ['--disable-warning=ExperimentalWarning'];

hostSuite(parts.name, createProcessHost(parts), [process.execPath, ...command]);

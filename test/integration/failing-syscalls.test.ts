/** strace makes one system call of the executable fail. */
import { failingCallsSuite } from '../suites/failing-calls.ts';
import { flavour } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { straceEngine } from '../support/strace-engine.ts';

const binary = flavour('binary');
const skip = binary.skip || needs({ root: true, tools: ['strace', 'mount', 'cp'] });

failingCallsSuite('a system call that fails', skip, () => straceEngine(binary));

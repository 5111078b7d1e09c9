/** Calls fail through the ports, on every runtime. */
import { failingCallsSuite } from '../suites/failing-calls.ts';
import { needs } from '../support/needs.ts';
import { portEngine } from '../support/port-engine.ts';

failingCallsSuite('a call that fails', needs({ root: true, tools: ['mount', 'cp'] }), portEngine);

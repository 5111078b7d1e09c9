import { createFfiSyscalls } from '../../src/platform/kernel/ffi-syscalls.ts';
import { syscallsSuite } from '../suites/syscalls.ts';
import { hasFfi, oldLibc } from '../support/ffi.ts';
import { isDeno } from '../support/needs.ts';
import { openSyscalls as open } from '../support/this-runtime.ts';

syscallsSuite('tools', {
  open: () => open('tools'),
  utf8Only: isDeno,
  // Deno's node:fs gives times in milliseconds.
  timeUnit: isDeno ? 1_000_000 : 1,
});

if (hasFfi()) {
  syscallsSuite('ffi', { open: () => open('ffi'), utf8Only: false, timeUnit: 1 });
  syscallsSuite('ffi before Linux 6.6', {
    open: () => createFfiSyscalls(oldLibc('sysFchmodat2')),
    utf8Only: false,
    timeUnit: 1,
  });
}

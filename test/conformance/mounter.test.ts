import { createFfiMounter } from '../../src/platform/kernel/ffi-mounter.ts';
import { mountTable } from '../../src/platform/kernel/mountpoints.ts';
import { mounterSuite } from '../suites/mounter.ts';
import { EPERM, hasFfi, oldLibc, refusingLibc } from '../support/ffi.ts';
import { openMounter as open } from '../support/this-runtime.ts';

mounterSuite('tools', () => open('tools'));
if (hasFfi()) {
  mounterSuite('ffi', () => open('ffi'));
  mounterSuite('ffi before Linux 5.2', () => createFfiMounter(oldLibc('sysFsopen'), mountTable));
  mounterSuite('ffi behind an old seccomp filter', () =>
    createFfiMounter(refusingLibc(EPERM, 'sysFsopen'), mountTable),
  );
  mounterSuite('ffi before Linux 6.8', () => createFfiMounter(oldLibc('sysFsconfig'), mountTable));
}

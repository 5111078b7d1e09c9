import { openMounter as openDeno } from '../../src/platform/deno/syscalls.ts';
import { createFfiMounter } from '../../src/platform/kernel/ffi-mounter.ts';
import { mountpoints } from '../../src/platform/kernel/mountpoints.ts';
import { openMounter as openNode } from '../../src/platform/node/syscalls.ts';
import { mounterSuite } from '../suites/mounter.ts';
import { hasFfi, oldLibc } from '../support/ffi.ts';
import { isDeno } from '../support/needs.ts';

const open = isDeno ? openDeno : openNode;

mounterSuite('tools', () => open('tools'));
if (hasFfi()) {
  mounterSuite('ffi', () => open('ffi'));
  mounterSuite('ffi before Linux 5.2', () => createFfiMounter(oldLibc('sysFsopen'), mountpoints));
  mounterSuite('ffi before Linux 6.8', () => createFfiMounter(oldLibc('sysFsconfig'), mountpoints));
}

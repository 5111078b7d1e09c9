import { fstatSync } from 'node:fs';
import process from 'node:process';

/** The number of /dev/null on Linux: major 1, minor 3 (Documentation/admin-guide/devices.txt). */
const NULL_DEVICE = 0x103;

/**
 * Whether the descriptor is a terminal. A terminal is a character device, and not /dev/null: node:tty, which loads node:net, is asked about
 * these only. A runtime that forbids the look, or lacks it, leaves the question to node:tty.
 */
export function isTerminal(fd: number): boolean {
  return mayBeTerminal(fd) && process.getBuiltinModule('node:tty').isatty(fd);
}

function mayBeTerminal(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isCharacterDevice() && stat.rdev !== NULL_DEVICE;
  } catch {
    return true;
  }
}

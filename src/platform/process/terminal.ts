import { fstatSync } from 'node:fs';
import process from 'node:process';

/**
 * Whether the descriptor is a terminal. A terminal is a character device: node:tty, which loads node:net, is asked about these only. A
 * runtime that forbids the look, or lacks it, leaves the question to node:tty.
 */
export function isTerminal(fd: number): boolean {
  return mayBeTerminal(fd) && process.getBuiltinModule('node:tty').isatty(fd);
}

function mayBeTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return true;
  }
}

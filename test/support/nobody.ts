/** Programs as the user nobody, who may not be able to enter the checkout (any below /root): then they are run from a view of it. */
import { spawnSync } from 'node:child_process';
import { repository } from './runtimes.ts';

export const NOBODY = 65534;
export const AS_NOBODY: readonly string[] = [
  ...['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`],
  ...['--clear-groups', '--inh-caps=-all'],
];

/** A directory that every machine has and every user can enter; the view is in the mount namespace of the program only. */
const VIEW = '/mnt';

/**
 * The command line for a program as nobody; this process has to be root. Where nobody cannot enter `checkout`, arguments that are paths
 * in it become paths in the view.
 */
export function asNobody(command: readonly string[], checkout: string = repository): [string, ...string[]] {
  const [setpriv = '', ...flags] = AS_NOBODY;
  if (canEnter(checkout)) return [setpriv, ...flags, ...command];
  const words = [...AS_NOBODY, ...command.map((word) => moved(word, checkout))];
  const script = `mount --bind "$0" ${VIEW} && exec "$@"`;
  return ['unshare', '--mount', 'sh', '-c', script, checkout, ...words];
}

function moved(word: string, checkout: string): string {
  return word.startsWith(`${checkout}/`) ? `${VIEW}${word.slice(checkout.length)}` : word;
}

function canEnter(dir: string): boolean {
  const [file = '', ...args] = [...AS_NOBODY, 'test', '-r', `${dir}/.`];
  return spawnSync(file, args).status === 0;
}

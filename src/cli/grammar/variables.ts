/**
 * The variables that give values of flags which are not typed. A variable is set for all commands of a shell or a service: only flags that mean
 * the same in each of them have one, by their objects. Nothing that removes or replaces, names a target or an output, or holds a secret has one.
 */
import type { AnyFlag } from './flag.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import type { Source } from './input.ts';
import { HTTP_DUMP, HTTP_TRACE } from './registry-flags.ts';
import { SETTINGS } from './settings.ts';

const WITH_VARIABLE: ReadonlySet<AnyFlag> = new Set<AnyFlag>([
  ...GLOBAL_FLAGS,
  ...SETTINGS.map(({ flag }) => flag),
  HTTP_DUMP,
  HTTP_TRACE,
]);

/** The variables of a flag, the first that is set gives the value: ours (`HAWSER_LIMIT_RATE`), then another tool's. Most flags have none. */
export function variablesOf(flag: AnyFlag): string[] {
  if (!WITH_VARIABLE.has(flag)) return [];
  const { name, env } = flag;
  return [`HAWSER_${name.toUpperCase().replaceAll('-', '_')}`, ...(env === undefined ? [] : [env])];
}

/** A variable that is empty is not set. */
export function variables(env: (name: string) => string | undefined): Source {
  return (flag) => {
    for (const from of variablesOf(flag)) {
      const value = env(from) ?? '';
      if (value !== '') return { texts: [value], from };
    }
    return undefined;
  };
}

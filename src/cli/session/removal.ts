import type { Backend } from '../../core/backend.ts';
import { wrap } from '../../core/errors.ts';
import { planCollection, type Removal, withoutItems } from '../../core/gc/survey.ts';
import { lines, type Outcome, type View } from '../views/view.ts';
import { type Context, show } from './context.ts';

/** For --dry-run: what would go with these records, in this namespace and wherever else the collection that follows looks. */
export async function previewRemoval(
  { signal }: Pick<Context, 'signal'>,
  backend: Backend,
  removals: readonly Removal[],
  json: boolean,
): Promise<Outcome> {
  const survey = withoutItems(await backend.survey({ signal }), backend.namespace, removals);
  return { view: { type: 'gc-plan', plan: planCollection(survey), json } };
}

/** Removes one after another, prints the name of each that is gone (`json`: of all at the end), and collects what nothing refers to any more. */
export async function removeAll(
  context: Pick<Context, 'signal' | 'stdout'>,
  backend: Backend,
  names: readonly string[],
  json: boolean,
  remove: (name: string) => Promise<void>,
): Promise<Outcome> {
  const failures: unknown[] = [];
  const removed: string[] = [];
  for (const name of names) {
    try {
      await remove(name);
      removed.push(name);
      if (!json) await show(context, lines(name));
    } catch (err) {
      failures.push(wrap(`unable to delete ${name}`, err));
      if (context.signal.aborted) break;
    }
  }
  if (removed.length > 0 && !context.signal.aborted) await backend.collect({ signal: context.signal });
  return json ? { view: removedNames(removed, json), failures } : { failures };
}

/** The names of what is gone. */
export function removedNames(names: readonly string[], json: boolean): View {
  return { type: 'answer', of: 'removed', lines: names, members: { names }, json };
}

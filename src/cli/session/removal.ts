import type { Backend } from '../../core/backend.ts';
import { wrap } from '../../core/errors.ts';
import { planCollection, type Removal, withoutItems } from '../../core/gc/survey.ts';
import type { Outcome } from '../views/view.ts';
import { lines } from '../views/view.ts';
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

/** Removes one after another, prints the name of each that is gone, and collects what nothing refers to any more. */
export async function removeAll(
  context: Pick<Context, 'signal' | 'stdout'>,
  backend: Backend,
  names: readonly string[],
  remove: (name: string) => Promise<void>,
): Promise<Outcome> {
  const failures: unknown[] = [];
  for (const name of names) {
    try {
      await remove(name);
      await show(context, lines(name));
    } catch (err) {
      context.signal.throwIfAborted();
      failures.push(wrap(`unable to delete ${name}`, err));
    }
  }
  if (failures.length < names.length) await backend.collect({ signal: context.signal });
  return { failures };
}

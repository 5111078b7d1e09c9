import { messageOf, wrap } from '../errors.ts';

/** Notes how to undo a step that has just been done. */
export type Undo = (step: () => Promise<void>) => void;

/**
 * Runs `work`; when it fails, undoes what it noted, the last step first. The error is that of `work`. An undo that fails ends
 * the undoing, for the steps before it rest upon it, and is told beside.
 */
export async function undoable<T>(work: (undo: Undo) => Promise<T>): Promise<T> {
  const steps: (() => Promise<void>)[] = [];
  try {
    return await work((step) => void steps.push(step));
  } catch (err) {
    try {
      for (const step of steps.reverse()) await step();
    } catch (second) {
      throw wrap(`Undoing what was done failed too (${messageOf(second)}), after this`, err);
    }
    throw err;
  }
}

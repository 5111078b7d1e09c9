import { cleanedUp } from './cleanup.ts';

/** Notes how to undo a step that has just been done. */
export type Undo = (step: () => Promise<void>) => void;

/**
 * Runs `work`; when it fails, undoes what it noted, the last step first. The error is that of `work`. An undo that fails ends
 * the undoing, for the steps before it rest upon it, and is a note of the error.
 */
export async function undoable<T>(work: (undo: Undo) => Promise<T>): Promise<T> {
  const steps: (() => Promise<void>)[] = [];
  try {
    return await work((step) => void steps.push(step));
  } catch (err) {
    throw await cleanedUp(err, async () => {
      for (const step of steps.reverse()) await step();
    });
  }
}

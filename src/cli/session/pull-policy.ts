/** --pull: whether a command that takes an image of the store asks its registry. */
import { isLayoutSource } from '../../core/carry/layout-source.ts';
import { HawserError, hintOf, isKind, kindOf, messageOf, reasonOf } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import { PULL } from '../grammar/transfer-flags.ts';
import { age } from '../render/units.ts';
import type { Context } from './context.ts';

const WEEK = 7 * 24 * 3600 * 1000;

export function mayAsk({ input }: Context<'pull'>): boolean {
  return input.get(PULL) !== 'never';
}

/** Whether the image `name` may come into the store: `--pull never` keeps no layout and no archive out. */
export function mayBring(context: Context<'pull'>, name: string): boolean {
  return mayAsk(context) || isLayoutSource(name);
}

export function mustAsk({ input }: Context<'pull'>): boolean {
  return input.get(PULL) === 'always';
}

/** For `--pull never`. */
export function notHere(name: string): HawserError {
  return new HawserError(
    'NotFound',
    `"${name}" is not in the store with all of its layers, and --pull never asks no registry`,
    { hint: 'Pull the image, or let hawser ask with --pull missing' },
  );
}

/**
 * An error of asking: where `--pull always` was given, and the registry was not reached or could not answer, with what asks no registry.
 * A busy store, say, is no reason for that.
 */
export function unanswered(context: Context<'pull'>, err: unknown): unknown {
  const reason = reasonOf(err, 'exchange') ?? reasonOf(err, 'status');
  if (!mustAsk(context) || reason === undefined || !isKind(err, 'Unavailable', 'DeadlineExceeded'))
    return err;
  const stored = '--pull missing takes the image of the store, where the store has it';
  const hint = [hintOf(err), stored].filter((part) => part !== undefined).join('. ');
  return new HawserError(kindOf(err), messageOf(err), { hint, cause: err, reason });
}

/** The warning about a tag that nobody has asked the registry for in a week; undefined for a digest, and for what came since. */
export function staleTag(
  { runtime }: Pick<Context, 'runtime'>,
  { name, updatedAt }: Image,
): string | undefined {
  const old = runtime.clock.now() - updatedAt;
  if (old < WEEK || name.includes('@')) return undefined;
  return `${name} is as it was pulled ${age(old)} ago: --pull always asks the registry whether the tag has moved`;
}

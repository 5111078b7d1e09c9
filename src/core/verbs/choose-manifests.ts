/** Which manifests below an index are fetched for wanted platforms: those that the readers of a store find there. */
import { allOrAbort } from '../async/settle.ts';
import {
  type FoundManifest,
  type Outcome,
  type ReadDocument,
  searchManifest,
} from '../images/find-manifest.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import { noMatch } from './no-match.ts';

export interface Choice {
  /** For each wanted platform that there is; an index of artifacts alone has no platforms to miss. */
  readonly chosen: readonly { readonly platform: string; readonly found: FoundManifest }[];
  /** Beside them: artifacts without a platform, where nothing is an image. */
  readonly artifacts: readonly Descriptor[];
  /** Likewise what is no manifest, where nothing else was chosen. */
  readonly others: readonly Descriptor[];
}

export interface ChoiceOptions {
  readonly reference: Reference;
  readonly platforms: readonly Platform[];
  /** What is no manifest is of no use. */
  readonly unpacks: boolean;
  /** Told what the indexes list that is no manifest, where it is not chosen. */
  readonly leaveOut: (others: readonly Descriptor[]) => void;
}

/** NotFound when the image lacks a wanted platform, naming those it has. */
export async function chooseManifests(
  read: ReadDocument,
  root: Descriptor,
  { platforms, reference, unpacks, leaveOut }: ChoiceOptions,
  { signal }: Call,
): Promise<Choice> {
  const outcomes = await allOrAbort(platforms, signal, (platform, own) =>
    searchManifest(read, root, only(platform), { signal: own, partial: false }),
  );
  const chosen = platforms.flatMap((platform, at) => {
    const found = outcomes[at]?.found;
    return found === undefined ? [] : [{ platform: platformText(platform), found }];
  });
  const hasImages = outcomes.some((one) => one.hasImages);
  const artifacts = hasImages ? [] : distinct(outcomes, ({ untold }) => untold);
  const listed = distinct(outcomes, (one) => one.others);
  const others = hasImages || chosen.length > 0 || unpacks ? [] : listed;
  if (others.length === 0) leaveOut(listed);
  if (artifacts.length + others.length === 0 && chosen.length < platforms.length) {
    const missing = platforms.filter((_, at) => outcomes[at]?.found === undefined);
    const available = new Set(outcomes.flatMap((one) => one.available));
    throw noMatch(reference, missing, [...available].sort());
  }
  return { chosen, artifacts, others };
}

/** Searches for several platforms meet the same entries. */
function distinct(
  outcomes: readonly Outcome[],
  of: (outcome: Outcome) => readonly Descriptor[],
): Descriptor[] {
  return [...new Map(outcomes.flatMap(of).map((desc) => [desc.digest, desc])).values()];
}

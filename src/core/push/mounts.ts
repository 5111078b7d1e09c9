/** Which repository of a registry has a blob already. */
import type { Labels } from '../content/content-store.ts';
import { sourceLabelKey } from '../images/gc-labels.ts';
import type { Reference } from '../reference/reference.ts';

type Repository = Pick<Reference, 'host' | 'repository'>;

/** What is known of one run: a layer that several images share is sent once. */
export class Mounts {
  readonly #known = new Map<string, string>();

  /** The repository has the blob. */
  note({ host, repository }: Repository, digest: string): void {
    this.#known.set(`${host} ${digest}`, repository);
  }

  /**
   * Another repository of the host that may have the blob: one that this run knows of, else the one of the blob's labels (containerd's
   * distribution.source) whose path has the most in common with the target's.
   */
  find({ host, repository }: Repository, digest: string, labels: Labels): string | undefined {
    const known = this.#known.get(`${host} ${digest}`);
    if (known !== undefined && known !== repository) return known;
    const all = (labels[sourceLabelKey(host)] ?? '').split(',');
    const others = all.filter((one) => isRepository(one) && one !== repository);
    return others.sort((a, b) => inCommon(b, repository) - inCommon(a, repository))[0];
  }
}

/** A label is somebody else's text. */
function isRepository(text: string): boolean {
  return /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/.test(text);
}

/** Equal components at the beginning of two paths. */
function inCommon(a: string, b: string): number {
  const [one, other] = [a.split('/'), b.split('/')];
  const differs = one.findIndex((part, at) => part !== other[at]);
  return differs < 0 ? one.length : differs;
}

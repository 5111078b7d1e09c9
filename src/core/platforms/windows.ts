/** Windows builds that newer hosts run process-isolated containers of, oldest first (the LTSC releases from Server 2022 on). */
const LTSC: readonly number[] = [20348, 26100];

/**
 * Whether a Windows host of version `host` runs images of version `image`. Both are major.minor.build[.revision]; an empty
 * version fits all. Before build 20348 the builds must be equal; later hosts also run images back to the LTSC release
 * before their own.
 */
export function windowsVersionFits(host: string, image: string): boolean {
  if (host === '' || image === '') return true;
  const ours = parseVersion(host);
  const theirs = parseVersion(image);
  if (ours.major !== theirs.major || ours.minor !== theirs.minor) return false;
  return theirs.build <= ours.build && theirs.build >= oldest(ours.build);
}

function oldest(build: number): number {
  const current = LTSC.findLastIndex((release) => release <= build);
  return current < 0 ? build : (LTSC[Math.max(current - 1, 0)] ?? build);
}

/** A text that is no version gives 0.0.0, which fits no real host. */
function parseVersion(text: string): { major: number; minor: number; build: number } {
  const found = /^([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?:\.|$)/.exec(text);
  return { major: Number(found?.[1] ?? 0), minor: Number(found?.[2] ?? 0), build: Number(found?.[3] ?? 0) };
}

/** Hints in the words of a program: core's hints name the flags of the command line, which a caller of the library cannot give. */
import { findError } from '../core/errors.ts';

/** Flags that are spelled as options of the library. */
const OPTIONS: Readonly<Record<string, string>> = {
  '--address': 'openContainerd',
  '--all-platforms': "platforms: 'all'",
  '--allow-non-distributable-blobs': 'foreign',
  '--base-name': 'baseName',
  '--chunk-size': 'chunkSize',
  '--codec': 'codec',
  '--compress': 'compress',
  '--docker': 'docker',
  '--for-cri': 'forCri',
  '--force': 'force',
  '--foreign-urls': 'foreignUrls',
  '--format': 'format',
  '--hosts-dir': 'hostsDir',
  '--http-trace': 'observe',
  '--index': 'index',
  '--lacks': 'lacks',
  '--listen': 'port',
  '--max-image-size': 'limits.maxImageBytes',
  '--max-layer-ratio': 'limits.maxRatio',
  '--max-layer-size': 'limits.maxBytes',
  '--min-speed': 'timeouts.minSpeed',
  '--name': 'name',
  '--namespace': 'namespace',
  '--on-conflict': 'onConflict',
  '--owner': 'owner',
  '--plain-http': 'plainHttp',
  '--plan': 'plan',
  '--platform': 'platform (or platforms)',
  '--policy': 'verify.policy',
  '--reach': 'reach',
  '--referrers': 'referrers',
  '--require-signed': 'requireSigned',
  '--root': 'root',
  '--signatures': 'signatures',
  '--skip-bad-names': 'skipBadNames',
  '--skip-verify': 'tls.skipVerify',
  '--snapshotter': 'snapshotter',
  '--tlscacert': 'tls.extraCa',
  '--tlscert': 'tls.cert',
  '--trusted-root': 'verify.trustedRoot',
  '--user': 'credentials',
  '--verifier': 'verifiers',
  '--verify-identity': 'verify.identity',
  '--verify-issuer': 'verify.issuer',
  '--verify-key': 'verify.keys',
};

/** Commands of hawser that are calls of the library. */
const CALLS: readonly (readonly [RegExp, string])[] = [
  [/hawser unpack REF --rootfs DIR(?: --owner record)?/g, 'unpackRootfs(reference, dir)'],
  [/(?:hawser )?unpack --rootfs/g, 'unpackRootfs'],
  [/--timeout-response; 30s/g, 'timeouts.headers; 30 s'],
  [/--timeout-stall; 60s/g, 'timeouts.stall; 60 s'],
  [/--max-image-size=0/g, 'limits: { maxImageBytes: Infinity }'],
  [/--max-layer-ratio=0/g, 'limits: { maxRatio: 0 }'],
  [/--max-layer-size=0/g, 'limits: { maxBytes: Infinity }'],
  [/hawser images repair (\S+)/g, 'repair($1)'],
  [/hawser (fetch|pull) --signatures\b/g, '$1 with signatures: true'],
  [/hawser (?:content )?fetch REF\b/g, 'fetch(reference)'],
  [/hawser (?:content )?fetch\b/g, 'fetch'],
  [/hawser import\b/g, 'importImages'],
  [/hawser export\b/g, 'exportImages'],
  [/hawser pull\b(?! REF)/g, 'pull'],
  [/hawser push\b/g, 'push'],
  [/hawser files ls REF (\S+)/g, "files(reference, { path: '$1' })"],
];

/** Stays as it is: commands of hawser that only the command line has, and those of other programs. */
const COMMANDS: RegExp =
  /hawser (?:lock|login|gc|inventory|images|snapshots|-n|--address)\b[^,;:.]*|"ctr [^"]*"|ctr -n [^,;]*|docker run --cap-add \S+|unshare(?: --[a-z-]+)+|zstd --long|deno run --[^,;]*|--allow-[a-z]+(?:=[\w/]+)?(?=[) ,]|$)/;

const COMMANDS_AND_FLAGS = new RegExp(`${COMMANDS.source}|(?<![\\w-])--[a-z][a-z0-9-]*`, 'g');

/** A hint, with options of the library in the place of the flags that stand for them. */
export function optionHint(hint: string): string {
  let text = hint;
  for (const [command, call] of CALLS) text = text.replace(command, call);
  return text.replace(COMMANDS_AND_FLAGS, (found) => OPTIONS[found] ?? found);
}

/** The error, to be thrown, with its hints in the words of a program. */
export function inLibrary<E>(err: E): E {
  let current: unknown = err;
  for (let depth = 0; depth < 32 && current instanceof Object; depth++) {
    const known = findError(current) as { hint: string | undefined; cause?: unknown } | undefined;
    if (known === undefined) break;
    if (known.hint !== undefined) known.hint = optionHint(known.hint);
    current = known.cause;
  }
  return err;
}

/** Hints in the words of a program: core's hints name the flags of the command line, which a caller of the library cannot give. */
import { addNote, type ErrorDetail, findError, HawserError, notesOf } from '../core/errors.ts';

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
  [/--user NAME/g, 'credentials'],
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

/** Causes of an error that are looked at. */
const MAX_CAUSES = 32;

/** Stays as it is: commands of hawser that only the command line has, and those of other programs. */
export const COMMANDS: RegExp =
  /hawser (?:lock|login|gc|inventory|images|snapshots|-n|--address)\b[^,;:.]*|"ctr [^"]*"|ctr -n [^,;]*|docker run --cap-add \S+|unshare(?: --[a-z-]+)+|zstd --long|deno run --[^,;]*|--allow-[a-z]+(?:=[\w/]+)?(?=[) ,]|$)/;

const COMMANDS_AND_FLAGS = new RegExp(`${COMMANDS.source}|(?<![\\w-])--[a-z][a-z0-9-]*`, 'g');

/** A hint, with options of the library in the place of the flags that stand for them. */
export function optionHint(hint: string): string {
  let text = hint;
  for (const [command, call] of CALLS) text = text.replace(command, call);
  return text.replace(COMMANDS_AND_FLAGS, (found) => OPTIONS[found] ?? found);
}

/**
 * The error, to be thrown, with hints in the words of a program, those of its causes too. What was given is not changed: an error whose hints
 * have flags is made anew. One of kind Canceled stays the same: among its causes is the reason of the caller.
 */
export function inLibrary<E>(err: E): E {
  return translated(err, MAX_CAUSES) as E;
}

function translated(err: unknown, left: number): unknown {
  const known = findError(err);
  if (known === undefined || known !== err || known.kind === 'Canceled' || left === 0) return err;
  const hint = known.hint === undefined ? undefined : optionHint(known.hint);
  const cause = translated(known.cause, left - 1);
  return hint === known.hint && cause === known.cause ? known : anew(known, { hint, cause });
}

/** The same error with another hint and cause. */
function anew(err: HawserError, { hint, cause }: Pick<ErrorDetail, 'hint' | 'cause'>): HawserError {
  const copy = new HawserError(err.kind, err.message, { hint, cause, reason: err.reason });
  if (err.stack !== undefined) copy.stack = err.stack;
  // Its own are before those of its causes.
  for (const note of notesOf(err).slice(0, notesOf(err).length - notesOf(err.cause).length))
    addNote(copy, note);
  return copy;
}

/** Events of which people read a text. */
interface TextEvent {
  readonly type?: string;
  readonly message?: string;
  readonly hint?: string | undefined;
}

/** Whatever is told while a call runs. */
export interface Listeners {
  readonly onProgress?: ((event: never) => void) | undefined;
  readonly onEvent?: ((event: never) => void) | undefined;
  readonly observe?: ((event: never) => void) | undefined;
}

/** The same options, whose listeners get warnings, failures and hints in the words of a program. */
export function spelledOptions<O extends Listeners>(options: O): O {
  const { onProgress, onEvent, observe } = options;
  return {
    ...options,
    ...(onProgress && { onProgress: (event: never) => onProgress(spelledEvent(event)) }),
    ...(onEvent && { onEvent: (event: never) => onEvent(spelledEvent(event)) }),
    ...(observe && { observe: (event: never) => observe(spelledEvent(event)) }),
  };
}

/** A registry's own words: core/registry/warnings.ts. */
const SAID = /^\S+ says: /;

function spelledEvent<E extends TextEvent>(event: E): E {
  const { type, message, hint } = event;
  if (hint !== undefined) return { ...event, hint: optionHint(hint) };
  if ((type !== 'warning' && type !== 'failure') || message === undefined || SAID.test(message)) return event;
  return { ...event, message: optionHint(message) };
}

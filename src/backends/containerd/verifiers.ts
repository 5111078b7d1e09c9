/**
 * The image verifiers of a containerd 2 (docs/image-verification.md, pkg/imageverifier/bindir): all programs of a directory must
 * accept an image before it is pulled. containerd itself asks them for its own pulls only, so a pull through its stores has to.
 */
import { HawserError, messageOf } from '../../core/errors.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';

export interface VerifierSettings {
  readonly dir: string;
  /** The most programs to ask, by name; negative: all. */
  readonly most: number;
  /** Milliseconds for each. */
  readonly timeLimit: number;
}

/** containerd's defaults (plugins/imageverifier). */
export const DEFAULT_SETTINGS: VerifierSettings = {
  dir: '/opt/containerd/image-verifier/bin',
  most: 10,
  timeLimit: 10_000,
};

const DESCRIPTOR = 'application/vnd.oci.descriptor.v1+json';
const OUTPUT_LIMIT = 1 << 20;
/** Characters of a program's reason that are shown. */
const SHOWN = 1000;

type Parts = Pick<Runtime, 'fs' | 'programs'>;

/**
 * Asks the programs one after the other. PermissionDenied when one refuses the image; FailedPrecondition when one cannot be asked
 * or does not answer. A directory that does not exist accepts every image.
 */
export async function verifyImage(
  { fs, programs }: Parts,
  { dir, most, timeLimit }: VerifierSettings,
  name: string,
  target: Descriptor,
  call: Call,
): Promise<void> {
  if ((await fs.stat(dir, call)) === undefined) return;
  const names = (await fs.list(dir, call)).map((entry) => entry.name);
  const args = ['-name', name, '-digest', target.digest, '-stdin-media-type', DESCRIPTOR];
  for (const program of most < 0 ? names : names.slice(0, most)) {
    const how = { input: `${JSON.stringify(target)}\n`, timeLimit, outputLimit: OUTPUT_LIMIT, ...call };
    const { code, stdout } = await asked(program, () => programs.run(`${dir}/${program}`, args, how), call);
    if (code === undefined) throw unasked(program, 'a signal ended it');
    if (code === 0) continue;
    const reason = stdout.trim().slice(0, SHOWN) || `it exited with ${code}`;
    throw new HawserError(
      'PermissionDenied',
      `The image verifier ${program} of containerd refuses ${name} (${target.digest}): ${reason}`,
      { hint: `The verifiers of this node are in ${dir}; they hold for every pull into its containerd` },
    );
  }
}

async function asked<T>(program: string, ask: () => Promise<T>, call: Call): Promise<T> {
  try {
    return await ask();
  } catch (err) {
    call.signal?.throwIfAborted();
    throw unasked(program, messageOf(err));
  }
}

function unasked(program: string, why: string): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `The image verifier ${program} of containerd gives no answer: ${why}`,
    {
      hint: 'Without the answer of each verifier of the node nothing is pulled',
    },
  );
}

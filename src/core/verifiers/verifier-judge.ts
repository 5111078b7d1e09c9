/** A judge that asks programs: all of them must accept an image. */
import { HawserError, hintOf, messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import { safeText } from '../registry/redact.ts';
import type { NamedRoot, RootJudge, Voucher } from '../trust/verdict.ts';
import { programsOf, type VerifierParts, type Verifiers } from './verifiers.ts';

const DESCRIPTOR = 'application/vnd.oci.descriptor.v1+json';
/** Characters of each output. containerd reads 32 KiB and drops the rest; nobody needs to write without end. */
const OUTPUT_LIMIT = 1 << 20;
/** Characters of a program's reason that are shown. */
const SHOWN = 1000;

const UNASKED =
  'Mend the program or its directory, or ask whoever has installed it: without the answer of each image verifier nothing is fetched';

/**
 * What a program may know of its surroundings: where programs, files and proxies are. Nothing of what a user says to hawser, nor where that user's settings are: a node's
 * verifier that is hawser itself answers by the policy of the node.
 */
const ENVIRONMENT = [
  ...['PATH', 'TMPDIR', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'DOCKER_CONFIG', 'REGISTRY_AUTH_FILE'],
  'XDG_RUNTIME_DIR',
  ...[
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'ALL_PROXY',
    'NO_PROXY',
    'http_proxy',
    'https_proxy',
    'all_proxy',
    'no_proxy',
  ],
];

/**
 * Asks the programs one after the other, until one refuses. FailedPrecondition when one cannot be asked or does not answer.
 * `verifiers` says which programs there are: asked for each image, as containerd does.
 */
export function verifierJudge(
  parts: VerifierParts,
  verifiers: (call: Call) => Promise<Verifiers>,
): RootJudge {
  return {
    judge: async (subject, call) => {
      const set = await verifiers(call);
      const vouchers: Voucher[] = [];
      for (const program of await foundPrograms(parts, set, call)) {
        const reason = await refusalOf(parts, program, set.timeLimit, subject, call);
        const by = `image verifier ${program}`;
        if (reason !== undefined) return { accepted: false, by, reason: `refused: ${reason}`, hint: HINT };
        vouchers.push({ by: 'verifier', digest: subject.root.digest, signer: program });
      }
      return { accepted: true, by: `image verifiers in ${set.path}`, vouchers };
    },
  };
}

/** Whatever is wrong, somebody has to mend it before an image is fetched. */
async function foundPrograms(parts: VerifierParts, set: Verifiers, call: Call): Promise<readonly string[]> {
  try {
    return await programsOf(parts, set, call);
  } catch (err) {
    call.signal?.throwIfAborted();
    throw new HawserError('FailedPrecondition', `Cannot ask the image verifiers: ${messageOf(err)}`, {
      hint: hintOf(err) ?? UNASKED,
      cause: err,
    });
  }
}

const HINT =
  'The program decides by rules of its own: ask whoever has installed it, or take an image that it accepts';

/** Undefined when the program accepts the image. */
async function refusalOf(
  { programs, host }: VerifierParts,
  program: string,
  timeLimit: number,
  { reference, root }: NamedRoot,
  call: Call,
): Promise<string | undefined> {
  const { mediaType, digest, size } = root;
  const args = ['-name', reference.name, '-digest', digest, '-stdin-media-type', DESCRIPTOR];
  const env = ENVIRONMENT.map((name) => [name, host.env(name)] as const);
  const how = {
    input: `${JSON.stringify({ mediaType, digest, size })}\n`,
    timeLimit,
    outputLimit: OUTPUT_LIMIT,
    apart: Object.fromEntries(env.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
    ...call,
  };
  const answer = await programs.run(program, args, how).catch((err: unknown) => {
    call.signal?.throwIfAborted();
    throw unanswered(program, messageOf(err), err);
  });
  if (answer.code === undefined) throw unanswered(program, 'a signal ended it');
  if (answer.code === 0) return undefined;
  return safeText(answer.stdout.trim(), SHOWN) || `exit status ${answer.code}, without a reason`;
}

function unanswered(program: string, why: string, cause?: unknown): HawserError {
  return new HawserError('FailedPrecondition', `The image verifier ${program} gives no answer: ${why}`, {
    hint: UNASKED,
    cause,
  });
}

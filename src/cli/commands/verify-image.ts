/** `verify`: whether an image may come in. Also what containerd runs as an image verifier. */
import { referenceOf } from '../../core/carry/layout-source.ts';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseJson } from '../../core/oci/json.ts';
import { parseDescriptor } from '../../core/oci/parse-descriptor.ts';
import type { Report } from '../../core/progress/events.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Reference } from '../../core/reference/reference.ts';
import { type Judged, judgeImage } from '../../core/verbs/judge.ts';
import type { NamesOf } from '../grammar/flag.ts';
import { JSON_DOCUMENT, PLATFORM } from '../grammar/flags.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import {
  DESCRIPTOR_TYPE,
  STDIN_MEDIA_TYPE,
  SUBJECT_DIGEST,
  SUBJECT_NAME,
  VERIFIER_FLAGS,
} from '../grammar/verifier-arguments.ts';
import { withRegistry } from '../session/asking.ts';
import type { Context } from '../session/context.ts';
import { judgingGate, ownGate } from '../session/gate.ts';
import { platformsOf } from '../session/transfer.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const FLAGS = [
  ...GATE_FLAGS,
  PLATFORM,
  ...REGISTRY_FLAGS,
  ...NETWORK_FLAGS,
  JSON_DOCUMENT,
  ...VERIFIER_FLAGS,
];
type VerifyContext = Context<NamesOf<typeof FLAGS>>;

/** `root`: containerd asks, and takes what it will of it. */
async function judged(context: VerifyContext, reference: Reference, root?: Descriptor): Promise<Judged> {
  const { platform, signal } = context;
  const platforms = root === undefined ? (platformsOf(context) ?? [platform]) : 'any';
  const gate = root === undefined ? await judgingGate(context) : await ownGate(context);
  return await withRegistry(context, reference, ({ registry, report: tell }) => {
    // Who vouches for the image is the answer.
    const report: Report = (event) => event.type !== 'verified' && tell(event);
    return judgeImage(registry, { ...gate, reference, root, platforms, report, signal });
  });
}

/** The image that containerd asks about. */
async function namedSubject({ input, runtime, signal }: VerifyContext) {
  const [name, digest] = [input.get(SUBJECT_NAME), input.get(SUBJECT_DIGEST)];
  const type = input.get(STDIN_MEDIA_TYPE);
  if (name === undefined || digest === undefined || type !== DESCRIPTOR_TYPE)
    throw usageError(`an image verifier gets -name, -digest and -stdin-media-type ${DESCRIPTOR_TYPE}`);
  const line = await runtime.host.readLine({ signal });
  const where = 'the descriptor on standard input';
  const root = parseDescriptor(parseJson(new TextEncoder().encode(line), where), where);
  if (root.digest !== digest)
    throw new HawserError('InvalidArgument', `${where} is of ${root.digest}, not of ${digest}`);
  return { reference: parseReference(name), root };
}

/** containerd shows what a verifier writes to standard output, and goes by the exit status. */
async function asVerifier(context: VerifyContext): Promise<Outcome> {
  try {
    const { reference, root } = await namedSubject(context);
    return { view: { type: 'judged', judged: await judged(context, reference, root), json: false } };
  } catch (err) {
    await context.stdout.write(`${messageOf(err)}\n`);
    throw err;
  }
}

export const verifyImage: Command = command({
  path: ['verify'],
  args: ['[ref]'],
  summary: 'judge whether an image may come in: by the policy, by keys, by programs; nothing is stored',
  details: [
    'Asks what a pull asks before it fetches anything, and fails as the pull would; also when there is nobody to ask. With --platform, of an',
    'index that is not signed itself: whose manifests have to be (default: those of this machine).',
    'Linked or copied into the directory of the image verifiers of containerd (/opt/containerd/image-verifier/bin), hawser answers as one:',
    'by /etc/hawser/policy.json.',
    'To check stored images against their digests: hawser images verify.',
  ].join('\n'),
  flags: FLAGS,
  run: async (context, input) => {
    if (VERIFIER_FLAGS.some((flag) => input.has(flag))) return await asVerifier(context);
    if (input.args.length === 0) throw usageError('please provide an image reference to judge');
    const reference = await referenceOf(context.runtime, input.arg(0), context);
    const json = input.get(JSON_DOCUMENT);
    return { view: { type: 'judged', judged: await judged(context, reference), json } };
  },
});

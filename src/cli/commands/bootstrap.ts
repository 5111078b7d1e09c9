import type { Report } from '../../core/progress/events.ts';
import { ARCHIVE_FLAGS } from '../grammar/archive-flags.ts';
import { JOBS, JSON_RESULT, SNAPSHOTTER } from '../grammar/flags.ts';
import { LAYER_FLAGS } from '../grammar/layer-flags.ts';
import { FAIL_FAST } from '../grammar/list-flags.ts';
import { TRANSFER_FLAGS } from '../grammar/transfer-flags.ts';
import {
  type BootstrapContext,
  type BootstrapEnd,
  failureOf,
  fillNode,
  type NodeContent,
  nodeContent,
} from '../session/bootstrapping.ts';
import { type Node, withNode } from '../session/node.ts';
import { withTracing } from '../session/tracing.ts';
import { displayedMany, failedImage, failuresOf, outcomeOf } from '../session/transfer-many.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const bootstrap: Command = command({
  path: ['bootstrap'],
  args: ['[bundle-or-list...]'],
  summary: 'fill the containerd of a Kubernetes node from archives, layouts and lists',
  details:
    'Takes archives (plain, gzip or zstd; "-" is standard input), OCI layouts, lists of images as pull -f does, and directories of\n' +
    'these; without an argument the image directories of k3s, RKE2 and k0s. Goes into the namespace k8s.io of the containerd of\n' +
    '--address, else of k3s, RKE2, k0s, MicroK8s or the system. Images are unpacked, pinned (--pin=false), and recorded under all\n' +
    'names by which pods ask for them. What is there is not read or asked for again: run it at every start.\n' +
    'One that fails does not stop the others. Exit status 1; 4 where all that failed builds upon blobs that are not here.',
  flags: [...ARCHIVE_FLAGS, ...TRANSFER_FLAGS, SNAPSHOTTER, JOBS, ...LAYER_FLAGS, FAIL_FAST],
  run: async (context) => {
    const content = await nodeContent(context);
    return await withNode(context, (node) => fill(context, node, content));
  },
});

async function fill(context: BootstrapContext, node: Node, content: NodeContent): Promise<Outcome> {
  const json = context.input.get(JSON_RESULT);
  const unread = content.list.errors.map((err) => failedImage('', err));
  const shown = { unpacks: false, printChainId: false, ...(json ? { mode: 'none' as const } : {}) };
  let ended: readonly BootstrapEnd[] = [];
  await withTracing(context, (trace) =>
    displayedMany(context, shown, unread, async (show) => {
      const report: Report = (event) => {
        show(event);
        trace?.(event);
      };
      ended = await fillNode(context, node, content, report);
      return ended;
    }),
  );
  const failed = [...unread, ...failuresOf(ended)];
  const images = ended.flatMap(({ result }) => (result === undefined ? [] : [result]));
  const errors = [
    ...content.list.errors,
    ...ended.flatMap(({ error }) => (error === undefined ? [] : [error])),
  ];
  const { address, backend } = node;
  const view = {
    type: 'bootstrap',
    done: { address, namespace: backend.namespace, images, failed },
  } as const;
  const all = images.length + failed.length;
  return {
    ...outcomeOf(failed, all),
    ...(json ? { view } : {}),
    ...(failed.length === 0 ? {} : { failures: [failureOf(errors, all)] }),
  };
}

/** What a store holds, as `ctr` and `hawser` both print it: the two speak the same words, so one reader serves. */
import type { ExecResult } from './exec.ts';

/** Runs a command of ctr or hawser against one store; must succeed. */
export type Client = (...args: string[]) => Promise<ExecResult>;

export interface StoreState {
  /** Digest to size as printed, and labels in order. */
  readonly blobs: Readonly<Record<string, { readonly size: string; readonly labels: readonly string[] }>>;
  /** Name, type and digest of each image. */
  readonly images: readonly string[];
  /** Key, parent and kind of each snapshot. */
  readonly snapshots: readonly string[];
}

export async function readState(client: Client, snapshotter: string): Promise<StoreState> {
  return {
    blobs: await readBlobs(client),
    images: (await rows(client('images', 'ls'))).map((cells) => cells.slice(0, 3).join(' ')),
    snapshots: await readSnapshots(client, snapshotter),
  };
}

export async function readSnapshots(client: Client, snapshotter: string): Promise<string[]> {
  const found = await rows(client('snapshots', '--snapshotter', snapshotter, 'ls'));
  return found.map((cells) => cells.join(' '));
}

async function readBlobs(client: Client): Promise<StoreState['blobs']> {
  const blobs: Record<string, { size: string; labels: string[] }> = {};
  const { stdout } = await client('content', 'ls');
  for (const line of stdout.split('\n').slice(1)) {
    const [digest, size = '', , labels = ''] = line.split(/\t+/);
    if (digest !== undefined && digest !== '') blobs[digest] = { size, labels: splitLabels(labels) };
  }
  return blobs;
}

function splitLabels(cell: string): string[] {
  return cell.trim() === '-' ? [] : cell.trim().split(',').sort();
}

/** The cells of a table, without its header. */
export async function rows(printed: Promise<ExecResult>): Promise<string[][]> {
  const lines = (await printed).stdout.split('\n').slice(1);
  return lines
    .map((line) => line.split(/\s+/).filter((cell) => cell !== ''))
    .filter((cells) => cells.length > 0);
}

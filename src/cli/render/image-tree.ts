/** An image as a tree (containerd 2.x pkg/display). */
import type { ImageNode } from '../../core/images/inspect.ts';
import { isManifestType } from '../../core/oci/media-types.ts';
import { formatPlatform } from '../../core/platforms/format.ts';
import type { InspectedImage } from '../views/images.ts';
import { goJson, goTime, type Json, sorted } from './go-json.ts';
import { imageJson } from './images.ts';
import { safe, safeLines } from './text.ts';

const MIDDLE = '├── ';
const LAST = '└── ';
const SKIP = '│   ';
const SPACE = '    ';

export function renderImageTree({ image, tree }: InspectedImage, content: boolean): string {
  const lines = [
    safe(image.name),
    `${SKIP} Created: ${goTime(image.createdAt)}`,
    `${SKIP} Updated: ${goTime(image.updatedAt)}`,
    ...Object.keys(image.labels)
      .sort()
      .map((key) => `${SKIP} Label ${quote(key)}: ${quote(image.labels[key] ?? '')}`),
  ];
  show(tree, LAST, SPACE, content, lines);
  return lines.map((line) => `${line}\n`).join('');
}

function show(node: ImageNode, prefix: string, childPrefix: string, content: boolean, lines: string[]): void {
  const { desc } = node;
  lines.push(title(node, prefix));
  if (desc.platform !== undefined && desc.platform.architecture !== '') {
    lines.push(`${childPrefix}${SKIP} Platform: ${safe(formatPlatform(desc.platform))}`);
  }
  if (!node.present) {
    lines.push(`${childPrefix}${LAST} Content does not exist locally, skipping`);
    return;
  }
  if (content) boxes(node, childPrefix + SKIP, lines);
  const leaves = isManifestType(desc.mediaType);
  node.children.forEach((child, i) => {
    const last = i === node.children.length - 1;
    const at = childPrefix + (last ? LAST : MIDDLE);
    const below = childPrefix + (last ? SPACE : SKIP);
    if (!leaves) {
      show(child, at, below, content, lines);
      return;
    }
    lines.push(title(child, at));
    if (content && i === 0) boxes(child, below, lines);
  });
}

function title({ desc }: ImageNode, prefix: string): string {
  return `${prefix}${safe(desc.mediaType)} @${desc.digest} (${desc.size} bytes)`;
}

function boxes(node: ImageNode, prefix: string, lines: string[]): void {
  const keys = Object.keys(node.labels).sort();
  if (keys.length > 0) {
    lines.push(`${prefix}┌────────Labels─────────`);
    for (const key of keys) lines.push(`${prefix}│${quote(key)}: ${quote(node.labels[key] ?? '')}`);
    lines.push(`${prefix}└───────────────────────`);
  }
  if (node.bytes === undefined) return;
  const text = indented(new TextDecoder().decode(node.bytes));
  lines.push(`${prefix}┌────────Content────────`);
  for (const line of text.split('\n')) lines.push(`${prefix}│${safeLines(line)}`);
  lines.push(`${prefix}└───────────────────────`);
}

/** JSON indented by three blanks; other text trimmed. */
function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 3);
  } catch {
    return text.trim();
  }
}

function quote(text: string): string {
  return safe(JSON.stringify(text));
}

/** `content`: with labels and the documents that can be read. */
export function renderImageJson({ image, tree }: InspectedImage, content: boolean): string {
  return `${goJson({ v: 1, type: 'image', ...imageJson(image), tree: nodeJson(tree, content) })}\n`;
}

function nodeJson(node: ImageNode, content: boolean): Json {
  const { mediaType, digest, size, platform } = node.desc;
  return {
    ...{ mediaType, digest, size, present: node.present },
    platform: platform === undefined || platform.architecture === '' ? undefined : formatPlatform(platform),
    labels: content && node.present ? sorted(node.labels) : undefined,
    document: content && node.bytes !== undefined ? documentOf(node.bytes) : undefined,
    children: node.children.map((child) => nodeJson(child, content)),
  };
}

/** Undefined for what is no JSON. */
function documentOf(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Json;
  } catch {
    return undefined;
  }
}

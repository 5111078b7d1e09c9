import type { ProgressEvent } from '../../core/progress/events.ts';
import { redact, safe } from './text.ts';
import { binarySize } from './units.ts';
import { verifiedLine } from './verified.ts';

type WaitingEvent = Extract<ProgressEvent, { type: 'waiting' }>;

/** An event as lines for logs. Completed steps have a line, steps on their way have none. */
export function plainLines(event: ProgressEvent, printChainId = false): string[] {
  switch (event.type) {
    case 'resolved':
      return [`${safe(event.name)}: resolved ${event.root.digest}`];
    case 'verified':
      return [verifiedLine(event)];
    case 'blob':
      if (event.status === 'done') return [`${safe(event.key)}: done ${binarySize(event.desc.size)}`];
      return event.status === 'exists' || event.status === 'mounted'
        ? [`${safe(event.key)}: ${event.status}`]
        : [];
    case 'retry':
      return [`${safe(event.key)}: retry at ${binarySize(event.offset)}: ${safe(redact(event.reason))}`];
    case 'waiting':
      return [waitingLine(event)];
    case 'unpacking':
      return [`${whose(event)}unpacking ${safe(event.platform)} ${safe(event.target)}...`];
    case 'layer':
      if (event.status === 'extracting') return [];
      return [`${whose(event)}layer ${event.index + 1}/${event.count} ${event.desc.digest}: ${event.status}`];
    case 'unpacked':
      return printChainId ? [`${whose(event)}image chain ID: ${safe(event.chainId)}`] : [];
    case 'failed':
      return [`${safe(event.image ?? '')}: failed: ${safe(redact(event.message))}`];
    default:
      return [];
  }
}

/** Of many images the name of the one: each has a layer 1. */
function whose({ image }: ProgressEvent): string {
  return image === undefined ? '' : `${safe(image)}: `;
}

/** `waiting 37 s, asked by registry.example`, `waiting 250 ms: REASON`. */
export function waitingLine({ reason, milliseconds, askedBy }: Omit<WaitingEvent, 'type'>): string {
  const time = milliseconds < 1000 ? `${Math.ceil(milliseconds)} ms` : `${Math.round(milliseconds / 1000)} s`;
  const why = askedBy === undefined ? `: ${reason}` : `, asked by ${askedBy}`;
  return `waiting ${time}${safe(redact(why))}`;
}

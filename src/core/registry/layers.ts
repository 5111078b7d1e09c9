import type { Transport } from '../ports/transport.ts';

/** Wraps a transport: does something around every exchange. */
export type Layer = (next: Transport) => Transport;

/** Layers by name, the outermost first. */
export type Layers = Readonly<Record<string, Layer>>;

/** A transport whose exchanges go through the layers. */
export function stack(base: Transport, layers: Layers): Transport {
  return Object.values(layers).reduceRight((next, layer) => layer(next), base);
}

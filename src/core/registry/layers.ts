import type { Transport } from '../ports/transport.ts';

/** Something done around every exchange. */
export type Layer = (next: Transport) => Transport;

/** The first layer is the outermost. */
export function stack(base: Transport, ...layers: readonly Layer[]): Transport {
  return layers.reduceRight((next, layer) => layer(next), base);
}

/** What questions to registries cost. */
import { byteStream } from '../async/byte-stream.ts';
import type { Transport } from '../ports/transport.ts';
import type { Cost } from '../trust/evidence.ts';

export class CostCounter {
  #requests = 0;
  #bytes = 0;

  /** Each question counts once, whatever redirects and token servers are asked for its sake; of bodies the bytes that are read. */
  readonly layer =
    (next: Transport): Transport =>
    async (request) => {
      this.#requests++;
      const response = await next(request);
      const reader = response.body.getReader();
      const pull = async (): Promise<Uint8Array | undefined> => {
        const { done, value } = await reader.read();
        if (done) return undefined;
        this.#bytes += value.length;
        return value;
      };
      return { ...response, body: byteStream({ next: pull, cancel: (reason) => reader.cancel(reason) }) };
    };

  /** So far. */
  get total(): Cost {
    return { requests: this.#requests, bytes: this.#bytes };
  }
}

/** Traces of transfers that nobody has made, for what shows them. */
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import type { ProgressEvent } from '../../src/core/progress/events.ts';
import type { Row, Trace } from '../../src/core/progress/trace.ts';
import { Tracer } from '../../src/core/progress/tracer.ts';
import { digestOf } from './stores.ts';

/** A tracer on a clock that is moved by hand, in milliseconds. */
class Story {
  #now = 0;
  readonly #tracer: Tracer = new Tracer({
    now: () => 1_700_000_000_000,
    monotonic: () => this.#now,
    sleep: async () => {},
  });

  at(ms: number, event: ProgressEvent): void {
    this.#now = ms;
    this.#tracer.report(event);
  }

  end(ms: number, failure?: string): Trace {
    this.#now = ms;
    return this.#tracer.finish(failure);
  }
}

function blobOf(name: string): Descriptor {
  const digest = digestOf(new TextEncoder().encode(name));
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 123_456_789 };
}

/** An image of `count` layers, all but the last of which overlap; the first one was there. `whose`: its name beside others. */
function tell(story: Story, name: string, count: number, whose?: string): void {
  const root = blobOf(name);
  const at = (ms: number, event: ProgressEvent) =>
    story.at(ms, whose === undefined ? event : { ...event, image: whose });
  at(10, { type: 'resolving', name });
  at(100, { type: 'resolved', name, root });
  for (let n = 0; n < count; n++) {
    const desc = blobOf(`${name} ${n}`);
    const blob = { type: 'blob', key: `layer-${desc.digest}`, desc } as const;
    const layer = { type: 'layer', desc, index: n, count, chainId: `${name} ${n}` } as const;
    const begin = 100 + 100 * n;
    at(begin, { ...blob, status: 'downloading', offset: 0 });
    if (n === 0) {
      at(begin, { ...layer, status: 'exists', offset: 0 });
      continue;
    }
    at(begin + 20, { ...layer, status: 'extracting', offset: 0 });
    at(begin + 40, { type: 'retry', key: blob.key, desc, reason: 'cut', offset: 5 });
    at(begin + 60, { ...blob, status: 'committing', offset: desc.size });
    at(begin + 62, { ...blob, status: 'done', offset: desc.size });
    const times = { wait: 5, inflate: 12_000, verify: 3, apply: 10 };
    at(begin + 70, {
      type: 'stages',
      desc,
      chainId: layer.chainId,
      size: 987_654_321,
      entries: 123_456,
      times,
    });
    at(begin + 80, { type: 'span', stage: 'rebase', desc, chainId: layer.chainId, ms: 7 });
    at(begin + 90, { ...layer, status: 'extracted', offset: desc.size });
  }
  at(100 + 100 * count, { type: 'syncing' });
}

const NAME = 'registry.example/team/app:1.2';

export function pullOf(layers: number): Trace {
  const story = new Story();
  tell(story, NAME, layers);
  story.at(100 * layers + 150, { type: 'recorded', name: NAME, target: blobOf(NAME).digest });
  return story.end(100 * layers + 200);
}

/** `count` images, the last of which fails. */
export function manyImages(count: number): Trace {
  const story = new Story();
  story.at(0, { type: 'images', count });
  for (let n = 0; n < count; n++) tell(story, `registry.example/app${n}:1`, 4, `registry.example/app${n}:1`);
  const image = `registry.example/app${count - 1}:1`;
  story.at(2000, { type: 'failed', kind: 'NotFound', message: 'not found', hint: undefined, image });
  return story.end(2400, `1 of ${count} images failed`);
}

export function failedPull(): Trace {
  const story = new Story();
  tell(story, NAME, 3);
  const { digest } = blobOf('gone');
  const message = `Cannot fetch layer-${digest}: could not fetch content descriptor ${digest} from remote: not found`;
  return story.end(500, message);
}

/** What an image, a registry and a user may have put into names, digests and errors. */
export function hostilePull(): Trace {
  const evil = `</title></style><script>alert(1)</script><img src=x onerror=alert(2)>" onload="x' \u202e${'W'.repeat(600)}`;
  const row = (one: Row): Row => ({ ...one, label: evil, digest: evil, failure: evil, image: evil });
  const trace = pullOf(2);
  const verified = [
    { by: evil, vouchers: [{ by: 'key', signer: evil, digest: blobOf('').digest }] },
  ] as const;
  return { ...trace, name: evil, target: evil, failure: evil, verified, rows: trace.rows.map(row) };
}

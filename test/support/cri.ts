/** The image service of a containerd's CRI plugin, as the kubelet and crictl call it (cri-api runtime/v1/api.proto). */
import { Buffer } from 'node:buffer';
import grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs/light.js';

export interface CriImage {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly pinned: boolean;
}

const text = (id: number) => ({ id, type: 'string' });
const root = protobuf.Root.fromJSON({
  nested: {
    Empty: { fields: {} },
    Spec: { fields: { image: text(1) } },
    Of: { fields: { image: { id: 1, type: 'Spec' } } },
    Image: {
      fields: {
        id: text(1),
        repoTags: { ...text(2), rule: 'repeated' },
        repoDigests: { ...text(3), rule: 'repeated' },
        pinned: { id: 8, type: 'bool' },
      },
    },
    One: { fields: { image: { id: 1, type: 'Image' } } },
    All: { fields: { images: { id: 1, type: 'Image', rule: 'repeated' } } },
  },
});
root.resolveAll();

export interface Cri extends Disposable {
  pull(image: string): Promise<void>;
  /** Undefined: the kubelet would pull it. */
  status(image: string): Promise<CriImage | undefined>;
  list(): Promise<readonly CriImage[]>;
  remove(image: string): Promise<void>;
}

export function criAt(socket: string): Cri {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure());
  const call = (method: string, request: object, of = 'Of', gives = 'Empty'): Promise<object> =>
    new Promise((resolve, reject) => {
      const type = root.lookupType(gives);
      client.makeUnaryRequest(
        `/runtime.v1.ImageService/${method}`,
        (message: object) => Buffer.from(root.lookupType(of).encode(message).finish()),
        (bytes) => type.toObject(type.decode(bytes), { defaults: true, arrays: true }),
        request,
        (err, answer) => (err === null ? resolve(answer ?? {}) : reject(err)),
      );
    });
  const named = (image: string) => ({ image: { image } });
  return {
    pull: async (image) => void (await call('PullImage', named(image))),
    status: async (image) => {
      const { image: found } = (await call('ImageStatus', named(image), 'Of', 'One')) as {
        image: CriImage | null;
      };
      return found ?? undefined;
    },
    list: async () => ((await call('ListImages', {}, 'Empty', 'All')) as { images: CriImage[] }).images,
    remove: async (image) => void (await call('RemoveImage', named(image))),
    [Symbol.dispose]: () => client.close(),
  };
}

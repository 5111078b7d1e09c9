/** Messages to bytes and back, by the definitions of proto.ts. */
import protobuf from 'protobufjs';
import { PROTO } from './proto.ts';

export interface Method {
  /** As HTTP/2 has it: `/containerd.services.content.v1.Content/Info`. */
  readonly path: string;
  encode(message: object): Buffer;
  decode(bytes: Uint8Array): object;
}

/** Sizes and times are below 2^53; whatever is not set has its default (null for a message). */
const AS_OBJECT: protobuf.IConversionOptions = { longs: Number, defaults: true };

const root = new protobuf.Root();
for (const text of PROTO) protobuf.parse(text, root);
root.resolveAll();

const methods = new Map<string, Method>();

/** `name`: `<package below containerd.services>.<service>/<method>`. */
export function methodOf(name: string): Method {
  const known = methods.get(name);
  if (known !== undefined) return known;
  const [service = '', method = ''] = `containerd.services.${name}`.split('/');
  const { requestType, responseType } = root.lookupService(service).methods[method] as protobuf.Method;
  const scope = root.lookup(service)?.parent as protobuf.Namespace;
  const [request, response] = [scope.lookupType(requestType), scope.lookupType(responseType)];
  const made: Method = {
    path: `/${service}/${method}`,
    encode: (message) => bufferOf(request.encode(message).finish()),
    decode: (bytes) => response.toObject(response.decode(bytes), AS_OBJECT),
  };
  methods.set(name, made);
  return made;
}

/** grpc-js copies out of Buffers only. */
function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, length);
}

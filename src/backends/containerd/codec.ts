/** Messages to bytes and back, by the table of proto.ts. */
import protobuf from 'protobufjs/light.js';
import type { MessageName } from './messages.ts';
import { CALLS, MESSAGES, STREAMS, WRITES } from './proto.ts';

export interface Method {
  /** As HTTP/2 has it: `/containerd.services.content.v1.Content/Info`. */
  readonly path: string;
  encode(message: object): Buffer;
  decode(bytes: Uint8Array): object;
}

export type MethodName = keyof typeof CALLS | keyof typeof STREAMS | keyof typeof WRITES;
type Methods = Readonly<Record<string, readonly [request: MessageName, response: MessageName]>>;

/** int64 as a number: sizes and times are below 2^53. A field that is not set has its default, a message null. */
const AS_OBJECT: protobuf.IConversionOptions = { longs: Number, defaults: true };

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(Object.entries(MESSAGES).map(([name, fields]) => [name, typeOf(fields)])),
});
root.resolveAll();

const METHODS: Methods = { ...CALLS, ...STREAMS, ...WRITES };
const methods = new Map<string, Method>();

export function methodOf(name: MethodName): Method {
  const known = methods.get(name);
  if (known !== undefined) return known;
  const [request, response] = typesOf(name);
  const method: Method = {
    path: `/containerd.services.${name}`,
    encode: (message) => bufferOf(request.encode(message).finish()),
    decode: (bytes) => response.toObject(response.decode(bytes), AS_OBJECT),
  };
  methods.set(name, method);
  return method;
}

/** The types of a method's request and response, for this side and for the server of a test. */
export function typesOf(name: string): [request: protobuf.Type, response: protobuf.Type] {
  const [request, response] = METHODS[name] ?? [];
  return [root.lookupType(request ?? ''), root.lookupType(response ?? '')];
}

function typeOf(message: Readonly<Record<string, readonly [number, string]>>): protobuf.IType {
  const fields = Object.entries(message).map(([name, [id, type]]) => [name, fieldOf(id, type)]);
  return { fields: Object.fromEntries(fields) };
}

/** An enum is a varint, as int32 is. */
function fieldOf(id: number, type: string): protobuf.IField | protobuf.IMapField {
  if (type === 'labels') return { id, keyType: 'string', type: 'string' };
  const one = type.replace(/\[\]$/, '');
  const known = one === 'enum' ? 'int32' : one;
  return one === type ? { id, type: known } : { id, type: known, rule: 'repeated' };
}

/** grpc-js takes Buffers only. */
function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, length);
}

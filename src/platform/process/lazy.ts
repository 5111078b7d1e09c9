import type { Windows } from '../../core/codec/windows.ts';
import type { Codecs } from '../../core/ports/codecs.ts';
import type { HttpServers } from '../../core/ports/http-server.ts';
import type { Transports } from '../../core/ports/transport.ts';

/** Opens at the first call, once for the process. After a failure the next call tries again. */
export function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open().catch((err: unknown) => {
      opened = undefined;
      throw err;
    });
    return opened;
  };
}

/** Codecs whose module (zlib, pako, WebAssembly) is loaded at the first `get`. `windows`: as `decodeZstd`'s. */
export function lazyCodecs(windows?: Windows): Codecs {
  let loaded: Promise<Codecs> | undefined;
  const load = () => {
    loaded ??= import('../codecs/native-codecs.ts').then((module) => module.createCodecs(windows));
    return loaded;
  };
  return {
    get: async (compression, choice) => (await load()).get(compression, choice),
    compressor: async (format) => (await load()).compressor(format),
  };
}

/** Servers whose module (node:http) is loaded when one is started. */
export function lazyServers(): HttpServers {
  return {
    async listen(options, handler) {
      const { createHttpServers } = await import('../http/server.ts');
      return await createHttpServers().listen(options, handler);
    },
  };
}

/** Transports whose module (an HTTP client) is loaded at the first request. */
export function lazyTransports(load: () => Promise<Transports>): Transports {
  let loaded: Promise<Transports> | undefined;
  return {
    async lookup(hostname) {
      loaded ??= load();
      return (await (await loaded).lookup?.(hostname)) ?? [];
    },
    open(options) {
      let opened: ReturnType<typeof begin> | undefined;
      const begin = async () => {
        loaded ??= load();
        return (await loaded).open(options);
      };
      return {
        async send(request) {
          opened ??= begin();
          return (await opened).send(request);
        },
        async [Symbol.asyncDispose]() {
          await (await opened)?.[Symbol.asyncDispose]();
        },
      };
    },
  };
}

import { HawserError } from '../../core/errors.ts';
import type { TlsOptions } from '../../core/ports/transport.ts';
import type { Reference } from '../../core/reference/reference.ts';
import { environmentOptions } from '../../core/registry/environment.ts';
import type { RegistryOptions } from '../../core/registry/open.ts';
import type { TraceEvent } from '../../core/registry/trace.ts';
import { usageError } from '../grammar/usage-error.ts';
import { lineWriter, traceLine } from '../render/trace.ts';
import { VERSION } from '../version.ts';
import { absolutePath, type Context, readFlagFile } from './context.ts';
import { givenCredential, onlyFor } from './credentials.ts';
import { networkOptions } from './network-options.ts';

/** The registry flags as options. Reads the files they name, and may ask for a password. */
export async function registryOptions(context: Context, reference: Reference): Promise<RegistryOptions> {
  const { input, runtime, stderr, signal } = context;
  const tls = await tlsOptions(context);
  const hostsDir = input.text('hosts-dir');
  const credential = await givenCredential(context);
  const { host } = runtime;
  const write = lineWriter(stderr);
  const environment = await environmentOptions(
    runtime,
    {
      hostsDir: hostsDir === undefined ? undefined : absolutePath(context, hostsDir),
      plainHttp: input.bool('plain-http'),
      tls,
      credentials: onlyFor(reference, credential),
      warn: (message) => write(`warning: ${message}`),
    },
    { signal },
  );
  return {
    ...environment,
    ...networkOptions(input),
    userAgent: `hawser/${VERSION} (${host.runtime}/${host.runtimeVersion}; ${host.os}/${host.arch})`,
    ...(input.bool('http-trace') ? { trace: (event: TraceEvent) => write(traceLine(event)) } : {}),
    ...(input.bool('http-dump') ? { dump: write } : {}),
  };
}

async function tlsOptions(context: Context): Promise<TlsOptions> {
  const { input } = context;
  const [ca, cert, key] = [input.text('tlscacert'), input.text('tlscert'), input.text('tlskey')];
  if ((cert ?? '') === '' ? (key ?? '') !== '' : (key ?? '') === '') {
    throw usageError('flags --tlscert and --tlskey must be set together', 'Give both, or none');
  }
  const read = async (path: string | undefined) => (path ? await readFlagFile(context, path) : undefined);
  const caText = await read(ca);
  if (caText !== undefined && !caText.includes('-----BEGIN ')) {
    throw new HawserError('InvalidArgument', `failed to load TLS CAs from "${ca}": invalid data`, {
      hint: 'The file has to hold certificates in PEM form',
    });
  }
  return { ca: caText, cert: await read(cert), key: await read(key), skipVerify: input.bool('skip-verify') };
}

/** Whom to ask and as whom; how long and how fast. Every wait has a limit. */
import {
  type Bool,
  bool,
  type Choice,
  type Count,
  choice,
  count,
  type Duration,
  duration,
  type NamesOf,
  type Size,
  size,
  type Text,
  text,
} from './flag.ts';

export const SKIP_VERIFY: Bool<'skip-verify'> = bool({
  name: 'skip-verify',
  alias: 'k',
  describe: 'do not check TLS certificates',
});
export const PLAIN_HTTP: Bool<'plain-http'> = bool({ name: 'plain-http', describe: 'use plain HTTP' });
export const USER: Text<'user'> = text({
  name: 'user',
  alias: 'u',
  value: 'USER[:PASSWORD]',
  describe: 'credentials for the registry of the reference; asks for a missing password',
});
export const PASSWORD_STDIN: Bool<'password-stdin'> = bool({
  name: 'password-stdin',
  describe: 'read the password of --user from standard input',
});
export const REFRESH: Text<'refresh'> = text({
  name: 'refresh',
  value: 'TOKEN',
  describe: 'refresh token for the authorization server (not used with --user)',
});
export const HOSTS_DIR: Text<'hosts-dir'> = text({
  name: 'hosts-dir',
  value: 'DIR',
  describe: 'directory of hosts.toml files (default /etc/containerd/certs.d and /etc/docker/certs.d)',
});
export const REACH: Choice<'reach', 'private' | 'loopback'> = choice({
  name: 'reach',
  choices: ['private', 'loopback'],
  describe:
    'let a registry lead (redirects, token servers, foreign URLs) to private addresses, or to this machine too (default: to addresses as public as its own)',
});
export const TLS_CA_CERT: Text<'tlscacert'> = text({
  name: 'tlscacert',
  value: 'FILE',
  describe: "PEM bundle that replaces the system's root certificates",
});
export const TLS_CERT: Text<'tlscert'> = text({
  name: 'tlscert',
  value: 'FILE',
  describe: 'client certificate, PEM',
});
export const TLS_KEY: Text<'tlskey'> = text({ name: 'tlskey', value: 'FILE', describe: 'client key, PEM' });
export const HTTP_DUMP: Bool<'http-dump'> = bool({
  name: 'http-dump',
  describe: 'print HTTP requests and responses (without secrets and bodies of blobs) on standard error',
});
export const HTTP_TRACE: Bool<'http-trace'> = bool({
  name: 'http-trace',
  describe: 'print a line for each HTTP exchange on standard error',
});

export const REGISTRY_FLAGS: readonly [
  typeof SKIP_VERIFY,
  typeof PLAIN_HTTP,
  typeof USER,
  typeof PASSWORD_STDIN,
  typeof REFRESH,
  typeof HOSTS_DIR,
  typeof REACH,
  typeof TLS_CA_CERT,
  typeof TLS_CERT,
  typeof TLS_KEY,
  typeof HTTP_DUMP,
  typeof HTTP_TRACE,
] = [
  SKIP_VERIFY,
  PLAIN_HTTP,
  USER,
  PASSWORD_STDIN,
  REFRESH,
  HOSTS_DIR,
  REACH,
  TLS_CA_CERT,
  TLS_CERT,
  TLS_KEY,
  HTTP_DUMP,
  HTTP_TRACE,
];
export type RegistryFlag = NamesOf<typeof REGISTRY_FLAGS>;

const NO_TIME = 'it must be longer than nothing';

export const RETRY: Count<'retry'> = count({
  name: 'retry',
  value: 'N',
  describe:
    'tries after a failure that may pass, in a row and without progress (default: as many as --retry-time allows; 0: none)',
});
export const RETRY_TIME: Duration<'retry-time'> = duration({
  name: 'retry-time',
  value: 'DURATION',
  describe:
    'give up after this long without progress, waits that a registry asks for included (default 5m; three tries for a registry that was never reached)',
});
export const TIMEOUT_CONNECT: Duration<'timeout-connect'> = duration({
  name: 'timeout-connect',
  value: 'DURATION',
  describe: 'for a connection, TLS included (default 30s; 5s for a mirror before others)',
  notZero: NO_TIME,
});
export const TIMEOUT_RESPONSE: Duration<'timeout-response'> = duration({
  name: 'timeout-response',
  value: 'DURATION',
  describe: 'from a request to the beginning of its answer (default 30s)',
  notZero: NO_TIME,
});
export const TIMEOUT_STALL: Duration<'timeout-stall'> = duration({
  name: 'timeout-stall',
  value: 'DURATION',
  describe:
    'between bytes of a body; then the rest is asked for again, and what another process fetches is fetched beside it (default 60s)',
  notZero: NO_TIME,
});
export const MIN_SPEED: Size<'min-speed'> = size({
  name: 'min-speed',
  value: 'BYTES',
  describe: 'ask again for a body that brings less a second, over 30s (default 100; 0: any speed will do)',
});
export const LIMIT_RATE: Size<'limit-rate'> = size({
  name: 'limit-rate',
  value: 'BYTES',
  describe: 'bytes a second for all blobs together: 500k, 10M',
  notZero: 'nothing would ever come',
});

export const NETWORK_FLAGS: readonly [
  typeof RETRY,
  typeof RETRY_TIME,
  typeof TIMEOUT_CONNECT,
  typeof TIMEOUT_RESPONSE,
  typeof TIMEOUT_STALL,
  typeof MIN_SPEED,
  typeof LIMIT_RATE,
] = [RETRY, RETRY_TIME, TIMEOUT_CONNECT, TIMEOUT_RESPONSE, TIMEOUT_STALL, MIN_SPEED, LIMIT_RATE];
export type NetworkFlag = NamesOf<typeof NETWORK_FLAGS>;

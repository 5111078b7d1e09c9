/** The flags of `serve`. Names that other commands have for the client's side stand here for the server's. */
import {
  type Bool,
  bool,
  type Count,
  count,
  type Duration,
  duration,
  type List,
  list,
  type NamesOf,
  type Size,
  size,
  type Text,
  text,
} from './flag.ts';
import { GATE_FLAGS } from './gate-flags.ts';
import {
  HOSTS_DIR,
  HTTP_DUMP,
  HTTP_TRACE,
  MIN_SPEED,
  REACH,
  RETRY,
  RETRY_TIME,
  TIMEOUT_CONNECT,
  TIMEOUT_RESPONSE,
  TIMEOUT_STALL,
} from './registry-flags.ts';

export const LISTEN: Text<'listen'> = text({
  name: 'listen',
  value: 'ADDRESS:PORT',
  describe: 'where to listen (default 127.0.0.1:5000); port 0: any that is free',
});
export const SERVE_PLAIN: Bool<'plain-http'> = bool({
  name: 'plain-http',
  describe: 'listen without TLS at an address that other machines can reach',
});
export const SERVE_CERT: Text<'tlscert'> = text({
  name: 'tlscert',
  value: 'FILE',
  describe: 'certificate of the server, PEM',
});
export const SERVE_KEY: Text<'tlskey'> = text({
  name: 'tlskey',
  value: 'FILE',
  describe: 'key of the server, PEM',
});
export const SERVE_CA: Text<'tlscacert'> = text({
  name: 'tlscacert',
  value: 'FILE',
  describe: 'PEM bundle; only clients with a certificate of one of these are served',
});
export const HTPASSWD: Text<'htpasswd'> = text({
  name: 'htpasswd',
  value: 'FILE',
  describe:
    'users with bcrypt hashes (htpasswd -B); content is then given only in repositories whose images have it',
});
export const SERVE_RATE: Size<'limit-rate'> = size({
  name: 'limit-rate',
  value: 'BYTES',
  describe: 'bytes a second for all clients together: 500k, 10M',
  notZero: 'nothing would ever be sent',
});
export const MAX_CONNECTIONS: Count<'max-connections'> = count({
  name: 'max-connections',
  value: 'N',
  describe: 'connections at once (default 256)',
});
export const ACCESS_LOG: Bool<'access-log'> = bool({
  name: 'access-log',
  describe: 'a line for each request on standard error',
});
export const PRINT_HOSTS_TOML: Bool<'print-hosts-toml'> = bool({
  name: 'print-hosts-toml',
  describe: 'print the hosts.toml with which containerd or hawser asks this server first, and serve nothing',
});

export const PULL_THROUGH: List<'pull-through'> = list({
  name: 'pull-through',
  value: 'HOST',
  describe:
    'fetch what the store lacks of this registry (docker.io, ghcr.io), with the credentials that hawser finds here (may be repeated)',
});
export const KEEP_PULLED: Duration<'keep-pulled'> = duration({
  name: 'keep-pulled',
  value: 'DURATION',
  describe: 'with --pull-through: how long what was fetched stays after it was last asked for (default 168h)',
  notZero: 'nothing would stay until it is asked for',
});

/** Of --pull-through: how the registries are asked. */
export const UPSTREAM_FLAGS: readonly [
  typeof HOSTS_DIR,
  typeof REACH,
  typeof HTTP_TRACE,
  typeof HTTP_DUMP,
  typeof RETRY,
  typeof RETRY_TIME,
  typeof TIMEOUT_CONNECT,
  typeof TIMEOUT_RESPONSE,
  typeof TIMEOUT_STALL,
  typeof MIN_SPEED,
  ...typeof GATE_FLAGS,
] = [
  HOSTS_DIR,
  REACH,
  HTTP_TRACE,
  HTTP_DUMP,
  RETRY,
  RETRY_TIME,
  TIMEOUT_CONNECT,
  TIMEOUT_RESPONSE,
  TIMEOUT_STALL,
  MIN_SPEED,
  ...GATE_FLAGS,
];

export const SERVE_FLAGS: readonly [
  typeof LISTEN,
  typeof SERVE_PLAIN,
  typeof SERVE_CERT,
  typeof SERVE_KEY,
  typeof SERVE_CA,
  typeof HTPASSWD,
  typeof SERVE_RATE,
  typeof MAX_CONNECTIONS,
  typeof ACCESS_LOG,
  typeof PRINT_HOSTS_TOML,
  typeof PULL_THROUGH,
  typeof KEEP_PULLED,
  ...typeof UPSTREAM_FLAGS,
] = [
  LISTEN,
  SERVE_PLAIN,
  SERVE_CERT,
  SERVE_KEY,
  SERVE_CA,
  HTPASSWD,
  SERVE_RATE,
  MAX_CONNECTIONS,
  ACCESS_LOG,
  PRINT_HOSTS_TOML,
  PULL_THROUGH,
  KEEP_PULLED,
  ...UPSTREAM_FLAGS,
];
export type ServeFlag = NamesOf<typeof SERVE_FLAGS>;

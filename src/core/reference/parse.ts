import { findError, HawserError, messageOf } from '../errors.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';
import type { Reference } from './reference.ts';

const MAX_LENGTH = 4096;
const MAX_REPOSITORY = 255;
const DEFAULT_HOST = 'docker.io';

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:.]+\\])(?::[0-9]+)?$`);
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const FORM = 'Write it as host/repository:tag, host/repository@sha256:... or, for Docker Hub, as name:tag';
const IMPORT =
  'An image layout in a directory, or an archive, is no registry. pull, fetch, unpack --rootfs, bundle, resolve, manifest and config take oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] and dir:DIR; hawser import DIR (or FILE) brings in all images that are there';

/**
 * Parses the reference that a user wrote. A first component with a `.`, a `:` or an upper-case letter, or `localhost`, is
 * the host, as in ctr; repository, tag and digest must follow distribution-spec. Any other name is Docker Hub's:
 * `alpine` is docker.io/library/alpine. Without tag and digest the tag is `latest`. With both, the digest decides and
 * the name keeps the tag. InvalidArgument, with a hint.
 */
export function parseReference(text: string): Reference {
  checkCharacters(text);
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(slash, 0));
  const qualified = slash >= 0 && isHost(first);
  const host = qualified ? checkHost(first, text) : DEFAULT_HOST;
  const rest = qualified ? text.slice(slash + 1) : text;
  const { path, tag, digest } = split(rest, text);
  const repository = host === DEFAULT_HOST && !path.includes('/') ? `library/${path}` : path;
  checkRepository(path, repository, text);
  const effective = tag ?? (digest === undefined ? 'latest' : undefined);
  const name = `${host}/${repository}${effective === undefined ? '' : `:${effective}`}${digest === undefined ? '' : `@${digest}`}`;
  return { raw: text, name, host, repository, tag: effective, digest };
}

/** The host of a registry that a user wrote, with or without a port: what a reference has before its first slash. InvalidArgument. */
export function parseHost(text: string): string {
  checkCharacters(text);
  const slash = text.indexOf('/');
  if (slash >= 0) {
    const hint = `Leave out what follows the host: ${clip(text.slice(0, slash))}`;
    throw refuse(text, 'it is not the host of a registry alone', hint);
  }
  return checkHost(text, text);
}

function checkCharacters(text: string): void {
  if (text.length > MAX_LENGTH) throw refuse(text, `longer than ${MAX_LENGTH} characters`);
  if (text === '') throw refuse(text, 'it is empty');
  if (text.includes('://')) {
    throw refuse(
      text,
      'invalid reference: it starts with a scheme',
      'Leave out the scheme; for a registry without TLS use --plain-http',
    );
  }
  if (!/^[\x21-\x7e]*$/.test(text)) throw refuse(text, 'it has spaces, control or non-ASCII characters');
  const odd = /[?#%\\]/.exec(text);
  if (odd !== null)
    throw refuse(text, `"${odd[0]}" is not allowed: queries, fragments and escapes have no meaning here`);
  if (text.lastIndexOf('@') >= 0 && text.includes('/', text.lastIndexOf('@'))) {
    throw refuse(
      text,
      'it holds a user name or password',
      'Leave it out; use --user, or log in so that the Docker configuration has it',
    );
  }
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw refuse(text, 'it is only a digest', `Name the repository too: host/repository@sha256:${text}`);
  }
}

function isHost(component: string): boolean {
  return component === '' || component === 'localhost' || /[.:A-Z[\]]/.test(component);
}

function checkHost(host: string, text: string): string {
  if (host === '') throw refuse(text, 'hostname required');
  if (!HOST.test(host)) {
    const bare = /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(host);
    const hint = bare ? `Write an IPv6 address in brackets: [${host}]` : undefined;
    throw refuse(text, `"${clip(host)}" is not a host or host:port`, hint);
  }
  if (host.startsWith('[') && !isIpv6(host.slice(1, host.indexOf(']')))) {
    throw refuse(text, `"${clip(host)}" is not an IPv6 address`);
  }
  // In a URL, a host that ends in a number must be an IPv4 address (WHATWG URL, "ends in a number").
  if (!URL.canParse(`http://${host.replace(/:[0-9]+$/, '')}/`)) {
    throw refuse(text, `"${clip(host)}" is not a host: it ends in a number, but is not an IPv4 address`);
  }
  const port = /:([0-9]+)$/.exec(host.replace(/^\[.*\]/, ''))?.[1];
  if (port !== undefined && (port.length > 5 || Number(port) < 1 || Number(port) > 65535)) {
    throw refuse(text, `invalid port ":${clip(port)}" after host`);
  }
  return host === 'index.docker.io' ? DEFAULT_HOST : host;
}

function isIpv6(address: string): boolean {
  return URL.canParse(`http://[${address}]/`);
}

function split(
  rest: string,
  text: string,
): { path: string; tag: string | undefined; digest: Digest | undefined } {
  const at = rest.indexOf('@');
  const named = at < 0 ? rest : rest.slice(0, at);
  const colon = named.indexOf(':');
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) {
    throw refuse(
      text,
      `invalid reference format: "${clip(tag)}" is not a tag`,
      'A tag has at most 128 of A-Z a-z 0-9 _ . - and does not start with . or -',
    );
  }
  return {
    path: colon < 0 ? named : named.slice(0, colon),
    tag,
    digest: at < 0 ? undefined : checkDigest(rest.slice(at + 1), text),
  };
}

function checkDigest(digest: string, text: string): Digest {
  try {
    return parseDigest(digest);
  } catch (err) {
    throw refuse(text, messageOf(err), findError(err)?.hint, err);
  }
}

function checkRepository(path: string, repository: string, text: string): void {
  if (repository.length > MAX_REPOSITORY) {
    throw refuse(text, `repository name is longer than ${MAX_REPOSITORY} characters`);
  }
  for (const component of path.split('/')) {
    if (COMPONENT.test(component)) continue;
    if (component === '')
      throw refuse(text, 'invalid reference format: an empty part in the repository name');
    if (COMPONENT.test(component.toLowerCase())) {
      throw refuse(text, `repository name (${clip(path)}) must be lowercase`);
    }
    throw refuse(
      text,
      `invalid reference format: "${clip(component)}" in the repository name`,
      'Each part has a-z and 0-9, with single . or _, double __ or any - between them',
    );
  }
}

/** The words that skopeo, podman and regctl put before a path. */
const PATH = /^(?:oci|ocidir|oci-archive|docker-archive|dir):/;

function refuse(
  text: string,
  why: string,
  hint: string = PATH.test(text) ? IMPORT : FORM,
  cause?: unknown,
): HawserError {
  return new HawserError('InvalidArgument', `Cannot use reference "${show(text)}": ${why}`, { hint, cause });
}

/** The text for messages: passwords and queries hidden, control characters escaped, at most 200 characters. */
function show(text: string): string {
  const last = text.lastIndexOf('@');
  const scheme = /^[a-z]+:\/\//.exec(text)?.[0] ?? '';
  const hidden = last >= 0 && text.includes('/', last) ? `${scheme}***${text.slice(last)}` : text;
  return clip(hidden.replace(/\?.*$/s, '?***'));
}

function clip(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return plain.length > 200 ? `${plain.slice(0, 200)}...` : plain;
}

import type { Reference } from '../reference/reference.ts';
import type { Policy, Requirements } from './policy.ts';

export interface Applied {
  readonly scope: string;
  readonly requirements: Requirements;
}

/** What a policy requires of a reference: the most specific scope alone counts (containers-policy.json(5), docker:). */
export function applied({ scopes, fallback }: Policy, reference: Reference): Applied {
  for (const scope of [...scopesOf(reference), '']) {
    const requirements = scopes.get(scope);
    if (requirements !== undefined) return { scope: scope === '' ? 'docker' : scope, requirements };
  }
  return { scope: 'default', requirements: fallback };
}

/** The scopes that hold for a reference, the most specific first: the image, its repository and those above, the host, its domains. */
export function scopesOf({ host, repository, tag, digest }: Reference): string[] {
  const name = `${host}/${repository}`;
  const scopes = [];
  if (digest !== undefined) scopes.push(`${name}@${digest}`);
  if (tag !== undefined) scopes.push(`${name}:${tag}`);
  const parts = repository.split('/');
  for (let count = parts.length; count > 0; count--) scopes.push([host, ...parts.slice(0, count)].join('/'));
  scopes.push(host);
  const labels = host.replace(/:[0-9]+$/, '').split('.');
  for (let at = 1; at < labels.length; at++) scopes.push(`*.${labels.slice(at).join('.')}`);
  return scopes;
}

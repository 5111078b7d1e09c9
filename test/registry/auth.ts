/** Who may pull and push: the registry's side of Basic and of token authentication. */
import { type Answer, contentOf, pause } from './faults.ts';
import type { ServerRequest } from './http-server.ts';

export type AuthMode =
  | { readonly mode: 'none' }
  | { readonly mode: 'basic'; readonly user: string; readonly pass: string }
  /** 403 for everyone. */
  | { readonly mode: 'denied' }
  | BearerMode;

export interface BearerMode {
  readonly mode: 'bearer';
  /** Not given: anyone gets a token. */
  readonly user?: string;
  readonly pass?: string;
  readonly refreshToken?: string;
  /** Seconds, as told (not enforced). Default 300. */
  readonly expiresIn?: number;
  /** Requests that a token is good for. Default: no end. */
  readonly uses?: number;
  /** Milliseconds before a token is given. */
  readonly tokenDelay?: number;
  /** Answers all of /token with this status. */
  readonly tokenStatus?: number;
  /** Answers POST to /token with this status. */
  readonly postStatus?: number;
  /** `user` and `pass` are also taken as they are, and asked for on a second line of the challenge. */
  readonly alsoBasic?: boolean;
  /** The challenge never has an `error`. */
  readonly noError?: boolean;
  /** Default: /token of this registry. `{origin}` in it is this registry. */
  readonly realm?: string;
  /** The whole challenge; several are sent as several lines. `{origin}` as in the realm. */
  readonly challenge?: readonly string[];
  /** Tokens are for another repository. */
  readonly wrongScope?: boolean;
  /** Parameters without which the token server answers 400. */
  readonly needs?: readonly string[];
  /** Under which name the token is given. Default `token`. */
  readonly member?: 'token' | 'access_token';
}

export class Gate {
  readonly #tokens = new Map<string, { readonly scope: string; left: number }>();
  readonly #mode: AuthMode;
  readonly #origin: () => string;
  #count = 0;

  constructor(mode: AuthMode, origin: () => string) {
    this.#mode = mode;
    this.#origin = origin;
  }

  /** All tokens given so far are worth nothing from now on. */
  expire(): void {
    this.#tokens.clear();
  }

  get issued(): number {
    return this.#count;
  }

  /** The refusal of a request for a repository, or undefined. */
  check(request: ServerRequest, repository: string): Answer | undefined {
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const isUpload = request.url.pathname.includes('/blobs/uploads/');
    return this.#refusal(request, `repository:${repository}:${reads && !isUpload ? 'pull' : 'pull,push'}`);
  }

  /** Whether the request's token also reads this repository, which a blob is to be mounted from. */
  reads(request: ServerRequest, repository: string): boolean {
    return this.#refusal(request, `repository:${repository}:pull`) === undefined;
  }

  /** The refusal of a request for the repositories. */
  catalog(request: ServerRequest): Answer | undefined {
    return this.#refusal(request, 'registry:catalog:*');
  }

  /** The refusal of a request for the API itself, which any token opens. */
  ping(request: ServerRequest): Answer | undefined {
    return this.#refusal(request, undefined);
  }

  #refusal(request: ServerRequest, wanted: string | undefined): Answer | undefined {
    const given = request.headers.get('authorization') ?? '';
    const mode = this.#mode;
    if (mode.mode === 'none') return undefined;
    if (mode.mode === 'denied') return refusal(403, 'DENIED', []);
    const asBasic = mode.mode === 'basic' || mode.alsoBasic === true;
    if (asBasic && given === basic(mode.user ?? '', mode.pass ?? '')) return undefined;
    if (mode.mode === 'basic') return unauthorized(['Basic realm="test"']);
    const token = this.#tokens.get(given.replace(/^Bearer /, ''));
    const fits = token !== undefined && (wanted === undefined || grants(token.scope, wanted));
    if (fits && token.left-- > 0) return undefined;
    const here = (text: string): string => text.replace('{origin}', this.#origin());
    const realm = here(mode.realm ?? '{origin}/token');
    const parts = [`realm="${realm}"`, 'service="testsvc"'];
    if (wanted !== undefined) parts.push(`scope="${wanted}"`);
    if (given !== '' && mode.noError !== true) {
      parts.push(`error="${token === undefined || fits ? 'invalid_token' : 'insufficient_scope'}"`);
    }
    const lines = [`Bearer ${parts.join(',')}`, ...(mode.alsoBasic === true ? ['Basic realm="test"'] : [])];
    return unauthorized(mode.challenge?.map(here) ?? lines);
  }

  /** The token endpoint. */
  async token(request: ServerRequest): Promise<Answer> {
    const mode = this.#mode;
    if (mode.mode !== 'bearer') return plain(404, 'no tokens here');
    if (mode.tokenDelay !== undefined) await pause(mode.tokenDelay);
    if (mode.tokenStatus !== undefined) return plain(mode.tokenStatus, 'no token');
    const isPost = request.method === 'POST';
    if (isPost && mode.postStatus !== undefined) return plain(mode.postStatus, 'no POST');
    const form = isPost
      ? new URLSearchParams(new TextDecoder().decode(request.body))
      : request.url.searchParams;
    const lacking = mode.needs?.find((name) => (form.get(name) ?? '') === '');
    if (lacking !== undefined) return plain(400, `${lacking} is required`);
    if (!this.#knows(mode, request, isPost ? form : undefined)) return plain(401, 'who are you?');
    const scope = mode.wrongScope === true ? 'repository:other/thing:pull' : form.getAll('scope').join(' ');
    const token = `token-${++this.#count}`;
    this.#tokens.set(token, { scope, left: mode.uses ?? Number.POSITIVE_INFINITY });
    const body = { [mode.member ?? 'token']: token, expires_in: mode.expiresIn ?? 300 };
    return {
      status: 200,
      headers: [['Content-Type', 'application/json']],
      content: contentOf(JSON.stringify(body)),
    };
  }

  #knows(mode: BearerMode, request: ServerRequest, form: URLSearchParams | undefined): boolean {
    if (mode.user === undefined && mode.refreshToken === undefined) return true;
    if (form === undefined) {
      return (
        request.headers.get('authorization') === basic(mode.user ?? '', mode.pass ?? mode.refreshToken ?? '')
      );
    }
    if (form.get('grant_type') === 'refresh_token') return form.get('refresh_token') === mode.refreshToken;
    return form.get('username') === mode.user && form.get('password') === mode.pass;
  }
}

/** Whether scopes hold what is wanted: `pull,push` holds `pull`. */
function grants(scopes: string, wanted: string): boolean {
  const [, name, actions = ''] = /^(.*):([^:]*)$/.exec(wanted) ?? [];
  return scopes.split(' ').some((scope) => {
    const [, other, given = ''] = /^(.*):([^:]*)$/.exec(scope) ?? [];
    return other === name && actions.split(',').every((action) => given.split(',').includes(action));
  });
}

export function basic(user: string, pass: string): string {
  return `Basic ${btoa(`${user}:${pass}`)}`;
}

function unauthorized(challenges: readonly string[]): Answer {
  return refusal(401, 'UNAUTHORIZED', challenges);
}

function refusal(status: number, code: string, challenges: readonly string[]): Answer {
  const message = status === 401 ? 'authentication required' : 'requested access to the resource is denied';
  return {
    status,
    headers: [
      ['Content-Type', 'application/json'],
      ...challenges.map((line): [string, string] => ['WWW-Authenticate', line]),
    ],
    content: contentOf(JSON.stringify({ errors: [{ code, message, detail: null }] })),
  };
}

function plain(status: number, text: string): Answer {
  return { status, headers: [['Content-Type', 'text/plain']], content: contentOf(text) };
}

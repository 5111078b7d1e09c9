/** Who may pull: the registry's side of Basic and of token authentication. */
import { type Answer, contentOf } from './faults.ts';
import type { ServerRequest } from './http-server.ts';

export type AuthMode =
  | { readonly mode: 'none' }
  | { readonly mode: 'basic'; readonly user: string; readonly pass: string }
  | BearerMode;

export interface BearerMode {
  readonly mode: 'bearer';
  /** Not given: anyone gets a token. */
  readonly user?: string;
  readonly pass?: string;
  readonly refreshToken?: string;
  /** Seconds, as told. Default 300. */
  readonly expiresIn?: number;
  /** Answers POST to /token with this status. */
  readonly postStatus?: number;
  /** Default: /token of this registry. */
  readonly realm?: string;
  /** The whole challenge; several are sent as several lines. */
  readonly challenge?: readonly string[];
  /** Tokens are for another repository. */
  readonly wrongScope?: boolean;
  /** Under which name the token is given. Default `token`. */
  readonly member?: 'token' | 'access_token';
}

export class Gate {
  readonly #tokens = new Map<string, string>();
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

  /** The refusal, or undefined. */
  check(request: ServerRequest, repository: string): Answer | undefined {
    const given = request.headers.get('authorization') ?? '';
    const mode = this.#mode;
    if (mode.mode === 'none') return undefined;
    if (mode.mode === 'basic') {
      return given === basic(mode.user, mode.pass) ? undefined : unauthorized(['Basic realm="test"']);
    }
    const scope = this.#tokens.get(given.replace(/^Bearer /, ''));
    const wanted = `repository:${repository}:pull`;
    if (scope?.split(' ').includes(wanted) === true) return undefined;
    const error =
      given === '' ? '' : `,error="${scope === undefined ? 'invalid_token' : 'insufficient_scope'}"`;
    const realm = mode.realm ?? `${this.#origin()}/token`;
    return unauthorized(
      mode.challenge ?? [`Bearer realm="${realm}",service="testsvc",scope="${wanted}"${error}`],
    );
  }

  /** The token endpoint. */
  token(request: ServerRequest): Answer {
    const mode = this.#mode;
    if (mode.mode !== 'bearer') return plain(404, 'no tokens here');
    const isPost = request.method === 'POST';
    if (isPost && mode.postStatus !== undefined) return plain(mode.postStatus, 'no POST');
    const form = isPost
      ? new URLSearchParams(new TextDecoder().decode(request.body))
      : request.url.searchParams;
    if (!this.#knows(mode, request, isPost ? form : undefined)) return plain(401, 'who are you?');
    const scopes = form.getAll('scope').join(' ');
    const token = `token-${++this.#count}`;
    this.#tokens.set(token, mode.wrongScope === true ? 'repository:other/thing:pull' : scopes);
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

export function basic(user: string, pass: string): string {
  return `Basic ${btoa(`${user}:${pass}`)}`;
}

function unauthorized(challenges: readonly string[]): Answer {
  const body = { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required', detail: null }] };
  return {
    status: 401,
    headers: [
      ['Content-Type', 'application/json'],
      ...challenges.map((line): [string, string] => ['WWW-Authenticate', line]),
    ],
    content: contentOf(JSON.stringify(body)),
  };
}

function plain(status: number, text: string): Answer {
  return { status, headers: [['Content-Type', 'text/plain']], content: contentOf(text) };
}

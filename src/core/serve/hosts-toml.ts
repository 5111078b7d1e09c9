/** The hosts.toml with which a containerd, or another hawser, asks a server before the registries. */

export interface MirrorOptions {
  /** `http://127.0.0.1:5000`. */
  readonly url: string;
  /** The file with the certificate that the server shows, where the machine does not trust it. */
  readonly ca?: string | undefined;
  /** Users are asked for. */
  readonly auth: boolean;
}

/** For `/etc/containerd/certs.d/_default/hosts.toml`: all registries. What is not here is asked of the registry itself. */
export function hostsToml({ url, ca, auth }: MirrorOptions): string {
  const lines = [
    '# /etc/containerd/certs.d/_default/hosts.toml: for all registries; or DIR/HOST/hosts.toml for one, with',
    '# server = "https://HOST". What this mirror does not have is asked of the registry.',
    `[host.${JSON.stringify(url)}]`,
    '  capabilities = ["pull", "resolve"]',
    '  dial_timeout = "1s"',
    ...(ca === undefined ? [] : [`  ca = ${JSON.stringify(ca)}`]),
    ...(auth
      ? [
          `  [host.${JSON.stringify(url)}.header]`,
          '    Authorization = "Basic ..." # the base64 of NAME:PASSWORD; only root may read the file then',
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

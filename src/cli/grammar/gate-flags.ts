/** Who decides whether an image may come in: flags of every command that brings images into a store or a directory. */
import { type Bool, bool, type List, list, type NamesOf, type Text, text } from './flag.ts';

export const VERIFIER: List<'verifier'> = list({
  name: 'verifier',
  value: 'PATH',
  describe:
    'a program, or a directory of programs, that must accept the image first, by the contract of containerd (may be repeated; "none": those of a containerd are not asked)',
});
export const POLICY: Text<'policy'> = text({
  name: 'policy',
  value: 'FILE|system|none',
  describe:
    'the policy of signatures (containers-policy.json) that the image must satisfy; "system": the one of podman and skopeo (default $HAWSER_POLICY, else /etc/hawser/policy.json if it is there)',
});
export const VERIFY_KEY: List<'verify-key'> = list({
  name: 'verify-key',
  value: 'FILE',
  describe:
    'take only what was signed with this public key, in place of a policy (cosign.pub; may be repeated: any of them)',
});
export const VERIFY_IDENTITY: Text<'verify-identity'> = text({
  name: 'verify-identity',
  value: 'SUBJECT',
  describe:
    'take only what this e-mail address or URI has signed, in place of a policy; with --verify-issuer and --trusted-root',
});
export const VERIFY_ISSUER: Text<'verify-issuer'> = text({
  name: 'verify-issuer',
  value: 'URL',
  describe:
    'who must have identified the signer of --verify-identity: https://token.actions.githubusercontent.com',
});
export const TRUSTED_ROOT: Text<'trusted-root'> = text({
  name: 'trusted-root',
  value: 'FILE',
  describe: 'the authorities and logs for --verify-identity (trusted_root.json; cosign trusted-root create)',
});
export const REQUIRE_SIGNED: Bool<'require-signed'> = bool({
  name: 'require-signed',
  describe: 'fail unless somebody vouches for the image: a policy that accepts anything is not enough',
});

export const GATE_FLAGS: readonly [
  typeof POLICY,
  typeof VERIFY_KEY,
  typeof VERIFY_IDENTITY,
  typeof VERIFY_ISSUER,
  typeof TRUSTED_ROOT,
  typeof REQUIRE_SIGNED,
  typeof VERIFIER,
] = [POLICY, VERIFY_KEY, VERIFY_IDENTITY, VERIFY_ISSUER, TRUSTED_ROOT, REQUIRE_SIGNED, VERIFIER];
export type GateFlag = NamesOf<typeof GATE_FLAGS>;

/** The arguments with which containerd runs an image verifier (docs/image-verification.md). */
import { type Text, text } from './flag.ts';

export const DESCRIPTOR_TYPE = 'application/vnd.oci.descriptor.v1+json';

export const SUBJECT_NAME: Text<'name'> = text({
  name: 'name',
  value: 'REF',
  describe: 'as an image verifier of containerd: the name of the image',
});
export const SUBJECT_DIGEST: Text<'digest'> = text({
  name: 'digest',
  value: 'DIGEST',
  describe: 'as an image verifier: what the name stands for',
});
export const STDIN_MEDIA_TYPE: Text<'stdin-media-type'> = text({
  name: 'stdin-media-type',
  value: 'TYPE',
  describe: `as an image verifier: what standard input is (${DESCRIPTOR_TYPE})`,
});

export const VERIFIER_FLAGS: readonly [typeof SUBJECT_NAME, typeof SUBJECT_DIGEST, typeof STDIN_MEDIA_TYPE] =
  [SUBJECT_NAME, SUBJECT_DIGEST, STDIN_MEDIA_TYPE];

/** Whether arguments are those of an image verifier: containerd names no command. */
export function isVerifier(args: readonly string[]): boolean {
  return args[0] === '-name';
}

/** The arguments of an image verifier are those of `verify`. */
export function verifierArguments(args: readonly string[]): readonly string[] {
  return isVerifier(args) ? ['verify', ...args] : args;
}

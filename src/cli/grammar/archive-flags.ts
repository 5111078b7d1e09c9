/** Flags of commands that take images out of archives. */
import { type Bool, bool, type NamesOf, type Text, text } from './flag.ts';

export const BASE_NAME: Text<'base-name'> = text({
  name: 'base-name',
  value: 'REPOSITORY',
  describe:
    'the repository of images that the archive names by a tag only; of full names, those below it are taken',
});
export const NAME: Text<'name'> = text({
  name: 'name',
  value: 'REF',
  describe: 'the name of the one image, whatever the archive says',
});
export const SKIP_BAD: Bool<'skip-bad-names'> = bool({
  name: 'skip-bad-names',
  describe: 'leave out names that are refused',
});
export const COMPLETE_ONLY: Bool<'complete-only'> = bool({
  name: 'complete-only',
  describe: 'of an archive made with export --lacks: import the images for which nothing is missing',
});

export const ARCHIVE_FLAGS: readonly [typeof BASE_NAME, typeof NAME, typeof SKIP_BAD, typeof COMPLETE_ONLY] =
  [BASE_NAME, NAME, SKIP_BAD, COMPLETE_ONLY];
export type ArchiveFlag = NamesOf<typeof ARCHIVE_FLAGS>;

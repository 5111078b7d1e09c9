import { bundle } from './commands/bundle.ts';
import { contentFetch } from './commands/content-fetch.ts';
import { contentFetchBlob } from './commands/content-fetch-blob.ts';
import { contentFetchObject } from './commands/content-fetch-object.ts';
import { contentGet } from './commands/content-get.ts';
import { contentInfo } from './commands/content-info.ts';
import { contentList } from './commands/content-list.ts';
import { imagesCheck } from './commands/images-check.ts';
import { imagesInspect } from './commands/images-inspect.ts';
import { imagesList } from './commands/images-list.ts';
import { imagesMount } from './commands/images-mount.ts';
import { imagesPull } from './commands/images-pull.ts';
import { imagesRemove } from './commands/images-remove.ts';
import { imagesResolve } from './commands/images-resolve.ts';
import { imagesUnmount } from './commands/images-unmount.ts';
import { imagesUnpack } from './commands/images-unpack.ts';
import { imagesUsage } from './commands/images-usage.ts';
import { snapshotCommands } from './commands/snapshots.ts';
import { version } from './commands/version.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import type { Grammar } from './parse.ts';

/** Everything that can be typed. */
export const GRAMMAR: Grammar = {
  globals: GLOBAL_FLAGS,
  groups: [
    { name: 'images', aliases: ['image', 'i'], summary: 'pull, list, check, mount and remove images' },
    { name: 'content', aliases: [], summary: 'fetch, list and read blobs' },
    { name: 'snapshots', aliases: ['snapshot'], summary: 'look at unpacked layers' },
  ],
  commands: [
    imagesPull,
    imagesResolve,
    imagesList,
    imagesCheck,
    imagesInspect,
    imagesUsage,
    imagesUnpack,
    imagesMount,
    imagesUnmount,
    imagesRemove,
    contentFetch,
    contentFetchObject,
    contentFetchBlob,
    contentList,
    contentGet,
    contentInfo,
    bundle,
    ...snapshotCommands,
    version,
  ],
};

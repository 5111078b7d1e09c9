import type { Grammar } from '../grammar/command.ts';
import { GLOBAL_FLAGS } from '../grammar/flags.ts';
import { bundle } from './bundle.ts';
import type { Command } from './command.ts';
import { completion } from './completion.ts';
import { contentFetch } from './content-fetch.ts';
import { contentFetchBlob } from './content-fetch-blob.ts';
import { contentFetchObject } from './content-fetch-object.ts';
import { contentGet } from './content-get.ts';
import { contentInfo } from './content-info.ts';
import { contentList } from './content-list.ts';
import { imagesCheck } from './images-check.ts';
import { imagesExport } from './images-export.ts';
import { imagesImport } from './images-import.ts';
import { imagesInspect } from './images-inspect.ts';
import { imagesList } from './images-list.ts';
import { imagesMount } from './images-mount.ts';
import { imagesPull } from './images-pull.ts';
import { imagesRemove } from './images-remove.ts';
import { imagesResolve } from './images-resolve.ts';
import { imagesUnmount } from './images-unmount.ts';
import { imagesUnpack } from './images-unpack.ts';
import { imagesUsage } from './images-usage.ts';
import { lock } from './lock.ts';
import { snapshotCommands } from './snapshots.ts';
import { version } from './version.ts';

/** Everything that can be typed. */
export const GRAMMAR: Grammar<Command> = {
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
    imagesExport,
    imagesImport,
    imagesRemove,
    contentFetch,
    contentFetchObject,
    contentFetchBlob,
    contentList,
    contentGet,
    contentInfo,
    bundle,
    lock,
    ...snapshotCommands,
    completion(() => GRAMMAR),
    version,
  ],
};

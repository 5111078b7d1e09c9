import type { Grammar } from '../grammar/command.ts';
import { GLOBAL_FLAGS } from '../grammar/flags.ts';
import { config, digest, manifest } from './ask-documents.ts';
import { catalog, referrers, tags } from './ask-lists.ts';
import { bootstrap } from './bootstrap.ts';
import { bundle } from './bundle.ts';
import type { Command } from './command.ts';
import { completion } from './completion.ts';
import { contentActive } from './content-active.ts';
import { contentFetch } from './content-fetch.ts';
import { contentFetchBlob } from './content-fetch-blob.ts';
import { contentFetchObject } from './content-fetch-object.ts';
import { contentGet } from './content-get.ts';
import { contentInfo } from './content-info.ts';
import { contentLabel } from './content-label.ts';
import { contentList } from './content-list.ts';
import { contentPrune } from './content-prune.ts';
import { contentRemove } from './content-remove.ts';
import { copy } from './copy.ts';
import { df } from './df.ts';
import { fileCommands } from './files.ts';
import { gc } from './gc.ts';
import { imagesCheck } from './images-check.ts';
import { imagesExport } from './images-export.ts';
import { imagesImport } from './images-import.ts';
import { imagesInspect } from './images-inspect.ts';
import { imagesLabel } from './images-label.ts';
import { imagesList } from './images-list.ts';
import { imagesMount } from './images-mount.ts';
import { imagesPrune } from './images-prune.ts';
import { imagesPull } from './images-pull.ts';
import { imagesPush } from './images-push.ts';
import { imagesRemove } from './images-remove.ts';
import { imagesRepair } from './images-repair.ts';
import { imagesResolve } from './images-resolve.ts';
import { imagesTag } from './images-tag.ts';
import { imagesUnmount } from './images-unmount.ts';
import { imagesUnpack } from './images-unpack.ts';
import { imagesUsage } from './images-usage.ts';
import { inventory } from './inventory.ts';
import { leaseCommands } from './leases.ts';
import { lock } from './lock.ts';
import { login, logout } from './login.ts';
import { namespaceCommands } from './namespaces.ts';
import { recover } from './recover.ts';
import { serve } from './serve.ts';
import { settings } from './settings.ts';
import { snapshotCommands } from './snapshots.ts';
import { snapshotChanges } from './snapshots-change.ts';
import { snapshotsDiff } from './snapshots-diff.ts';
import { verifyCommands } from './verify.ts';
import { verifyImage } from './verify-image.ts';
import { version } from './version.ts';

/** Everything that can be typed. */
export const GRAMMAR: Grammar<Command> = {
  globals: GLOBAL_FLAGS,
  groups: [
    { name: 'images', aliases: ['image', 'i'], summary: 'pull, list, check, mount, push and remove images' },
    { name: 'content', aliases: [], summary: 'fetch, list and read blobs' },
    { name: 'files', aliases: ['file'], summary: 'list, print and copy the files of an image' },
    {
      name: 'namespaces',
      aliases: ['namespace', 'ns'],
      summary: 'list, make, label and remove namespaces',
    },
    { name: 'leases', aliases: ['lease'], summary: 'list, make and delete what protects content' },
    {
      name: 'snapshots',
      aliases: ['snapshot'],
      summary: 'list, make, label and remove snapshots: unpacked layers and what is written over them',
    },
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
    imagesPush,
    imagesRemove,
    imagesPrune,
    imagesTag,
    imagesLabel,
    imagesRepair,
    contentFetch,
    contentFetchObject,
    contentFetchBlob,
    contentList,
    contentGet,
    contentInfo,
    contentActive,
    contentRemove,
    contentLabel,
    contentPrune,
    ...fileCommands,
    ...leaseCommands,
    ...namespaceCommands,
    tags,
    catalog,
    manifest,
    config,
    digest,
    referrers,
    verifyImage,
    bootstrap,
    copy,
    bundle,
    inventory,
    lock,
    login,
    logout,
    gc,
    df,
    recover,
    serve,
    settings,
    ...snapshotCommands,
    ...snapshotChanges,
    ...verifyCommands,
    snapshotsDiff,
    completion(() => GRAMMAR),
    version,
  ],
};

import type { Call } from '../ports/call.ts';
import type { Labels } from './content-store.ts';

/** A namespace of a store. */
export interface Namespace {
  /** 1 to 76 letters and digits, parted by single dots, dashes or underscores. */
  readonly name: string;
  /** Keys to values. */
  readonly labels: Labels;
}

/** The namespaces of a store. A namespace also comes into being with the first write in it. */
export interface Namespaces {
  /** Sorted by name. */
  list(call?: Call): Promise<Namespace[]>;
  /** AlreadyExists; InvalidArgument for a name of another form than containerd's identifiers. */
  create(name: string, labels: Labels, call?: Call): Promise<void>;
  /** Sets and (value '') removes labels; others stay. NotFound when absent. */
  label(name: string, labels: Labels, call?: Call): Promise<void>;
  /** NotFound when absent; FailedPrecondition, which says what is left, while there are images, blobs or snapshots. */
  delete(name: string, call?: Call): Promise<void>;
}

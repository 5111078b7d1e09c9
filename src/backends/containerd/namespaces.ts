import type { Labels } from '../../core/content/content-store.ts';
import { checkLabels } from '../../core/content/labels.ts';
import type { Namespace, Namespaces } from '../../core/content/namespace-store.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Connection } from './connection.ts';
import { labelMask } from './messages.ts';

/** containerd's namespaces (services/namespaces/v1), of all clients. */
export class ContainerdNamespaces implements Namespaces {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async list(call?: Call): Promise<Namespace[]> {
    const { namespaces } = await this.#connection.call('namespaces.v1.Namespaces/List', {}, call);
    const found = namespaces.map(({ name, labels }) => ({ name, labels }));
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async create(name: string, labels: Labels, call?: Call): Promise<void> {
    checkLabels(labels);
    await this.#connection.call('namespaces.v1.Namespaces/Create', { namespace: { name, labels } }, call);
  }

  /** containerd would make a namespace that is absent, and without a mask replace all labels. */
  async label(name: string, labels: Labels, call?: Call): Promise<void> {
    checkLabels(labels);
    if (!(await this.list(call)).some((one) => one.name === name))
      throw new HawserError('NotFound', `namespace "${name}": not found`);
    if (Object.keys(labels).length === 0) return;
    const request = { namespace: { name, labels }, updateMask: labelMask(labels) };
    await this.#connection.call('namespaces.v1.Namespaces/Update', request, call);
  }

  async delete(name: string, call?: Call): Promise<void> {
    await this.#connection.call('namespaces.v1.Namespaces/Delete', { name }, call);
  }
}

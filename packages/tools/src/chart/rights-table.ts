import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Rule } from '@egressd/world/api-server/access';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from './helm.ts';
import { podsOf } from './references.ts';

/** Every object of the chart with its defaults, as it is written down. */
export function defaultObjects(): KubeObject[] {
  return renderedObjects('default');
}

/** The objects of another values file that differ from those, likewise. @param name of the file, without its end */
export function renderedObjects(name: string): KubeObject[] {
  const text = readFileSync(join(import.meta.dirname, `testdata/rendered/${name}.yaml`), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

/** A Role or ClusterRole, and what binds it. */
interface WithRules extends KubeObject {
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string }[];
}

/** Who may do what, on its node and in Kubernetes: a row for each container of each workload. */
export function rightsTable(objects: readonly KubeObject[]): string {
  const rows = objects.flatMap((object) => {
    const pods = podsOf(object);
    if (pods === undefined) return [];
    const { initContainers = [], containers } = pods;
    return [...initContainers, ...containers].map((one) => row(object, pods, one, objects));
  });
  const head = ['container', 'user', 'capabilities', 'shares with the node', 'Secrets', 'Kubernetes'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function row(object: KubeObject, pods: IPodSpec, one: IContainer, objects: readonly KubeObject[]): string[] {
  const security = { ...pods.securityContext, ...one.securityContext };
  const { privileged = false, capabilities = {} } = one.securityContext ?? {};
  if (privileged || !capabilities.drop?.includes('ALL')) throw new Error(`${one.name} has more than can be listed`);
  const mounted = (pods.volumes ?? []).flatMap((volume) => {
    const mount = one.volumeMounts?.find(({ name }) => name === volume.name);
    return mount === undefined ? [] : [{ volume, readOnly: mount.readOnly === true }];
  });
  const paths = mounted.flatMap(({ volume: { hostPath }, readOnly }) =>
    hostPath === undefined ? [] : [`\`${hostPath.path}\`${readOnly ? ' (read)' : ''}`],
  );
  const secrets = mounted.flatMap(({ volume: { secret } }) => secret?.secretName ?? []);
  return [
    `\`${one.name}\` (${object.kind})`,
    security.runAsUser === 0 ? 'root' : String(security.runAsUser),
    list(capabilities.add ?? []),
    list([...namespacesOf(pods), ...paths]),
    list(secrets.map((name) => `\`${name}\``)),
    pods.automountServiceAccountToken === false ? 'no token' : list(grants(pods.serviceAccountName, objects)),
  ];
}

function namespacesOf({ hostNetwork, hostPID, hostIPC }: IPodSpec): string[] {
  return [hostNetwork ? 'network' : '', hostPID ? 'processes' : '', hostIPC ? 'IPC' : ''].filter((name) => name !== '');
}

/** What a service account was given. */
function grants(account: string | undefined, objects: readonly KubeObject[]): string[] {
  const all = objects as readonly WithRules[];
  const bindings = all.filter(({ subjects = [] }) =>
    subjects.some(({ kind, name }) => kind === 'ServiceAccount' && name === account),
  );
  return bindings.flatMap(({ roleRef }) => {
    const role = all.find(({ kind, metadata }) => kind === roleRef?.kind && metadata.name === roleRef.name);
    const where = role?.kind === 'ClusterRole' ? 'in the cluster' : 'in its namespace';
    return (role?.rules ?? []).map(({ verbs, resources, resourceNames = [] }) => {
      const names = resourceNames.length === 0 ? where : resourceNames.map((name) => `\`${name}\``).join(', ');
      return `${verbs.join(' and ')} ${resources.join(' and ')} ${resourceNames.length === 0 ? '' : 'named '}${names}`;
    });
  });
}

function list(items: readonly string[]): string {
  return items.length === 0 ? 'none' : items.join('; ');
}

import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { IVolume } from 'kubernetes-models/v1/Volume';
import type { KubeObject } from './helm.ts';

/** An object with pods in it: the template lies at another place in each kind. */
interface WithPods {
  readonly spec?: {
    readonly template?: { readonly metadata?: KubeObject['metadata']; readonly spec: IPodSpec };
    readonly jobTemplate?: { readonly spec: { readonly template: { readonly spec: IPodSpec } } };
    readonly containers?: readonly IContainer[];
    readonly selector?: unknown;
  };
}

/** The pods that an object makes; undefined: none. */
export function podsOf(object: KubeObject): IPodSpec | undefined {
  const spec = (object as KubeObject & WithPods).spec;
  if (object.kind === 'Pod') return spec as unknown as IPodSpec;
  return spec?.template?.spec ?? spec?.jobTemplate?.spec.template.spec;
}

/** The three Secrets that a Job makes, by the flags that name them. */
function madeByJob(objects: readonly KubeObject[]): string[] {
  const pods = objects.filter(({ kind }) => kind === 'Job').map((job) => podsOf(job)!);
  const args = pods.flatMap(({ containers }) => containers.flatMap((one) => one.args ?? []));
  return args.flatMap((arg) => /^-(?:exporter|collector|ca)-secret=(.+)$/.exec(arg)?.[1] ?? []);
}

/** The Secrets that cert-manager makes. */
function madeByCertManager(objects: readonly KubeObject[]): string[] {
  const certificates = objects.filter(({ kind }) => kind === 'Certificate') as (KubeObject & {
    readonly spec: { readonly secretName: string };
  })[];
  return certificates.map(({ spec }) => spec.secretName);
}

/** What a volume is made from, as `Secret NAME`; undefined: nothing that has to be there. */
function sourceOf({ secret, configMap, persistentVolumeClaim }: IVolume): string | undefined {
  if (secret?.secretName !== undefined) return `Secret ${secret.secretName}`;
  if (configMap?.name !== undefined) return `ConfigMap ${configMap.name}`;
  return persistentVolumeClaim === undefined ? undefined : `PersistentVolumeClaim ${persistentVolumeClaim.claimName}`;
}

/**
 * What an object names and nothing has: volumes, Secrets, ConfigMaps, service accounts, ports. The user's own are known by their names,
 * which do not begin as the release does.
 */
export function unmet(objects: readonly KubeObject[], prefix = 'egressd-'): string[] {
  const made = [...madeByJob(objects), ...madeByCertManager(objects)].map((name) => `Secret ${name}`);
  const there = new Set([...objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`), ...made]);
  return objects.flatMap((object) => {
    const pods = podsOf(object);
    if (pods === undefined) return [];
    const { containers, initContainers = [], volumes = [], serviceAccountName } = pods;
    const wanted = volumes.flatMap((volume) => sourceOf(volume) ?? []);
    if (serviceAccountName !== undefined) wanted.push(`ServiceAccount ${serviceAccountName}`);
    const absent = wanted.filter((what) => what.includes(` ${prefix}`) && !there.has(what));
    const mounts = [...containers, ...initContainers].flatMap((one) => one.volumeMounts ?? []);
    const volumeNames = volumes.map(({ name }) => name);
    const loose = mounts.filter(({ name }) => !volumeNames.includes(name));
    const unused = volumeNames.filter((name) => !mounts.some((mount) => mount.name === name));
    const who = `${object.kind} ${object.metadata.name}`;
    return [
      ...absent.map((what) => `${who}: there is no ${what}`),
      ...loose.map(({ name }) => `${who}: there is no volume ${name}`),
      ...unused.map((name) => `${who}: volume ${name} is mounted nowhere`),
    ];
  });
}

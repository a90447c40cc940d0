/**
 * What of a pod's specification decides how its containers run, as Kubernetes' API has it (core/v1 PodSpec): a part of it, so that
 * a rendered chart fits as it is.
 */
export interface Pod {
  readonly hostPID?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: { readonly runAsUser?: number; readonly runAsGroup?: number; readonly fsGroup?: number };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
}

/** A container of a pod, as far as the chart uses its fields (core/v1). */
export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly securityContext?: SecurityContext;
  readonly resources?: { readonly limits?: Readonly<Record<string, string | number>> };
  readonly volumeMounts?: readonly Mount[];
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

interface SecurityContext {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
}

interface Mount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

/** What a volume is made from; files of ConfigMaps and Secrets come from the objects. */
export interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string };
  readonly emptyDir?: unknown;
  readonly configMap?: { readonly name?: string };
  /** @property defaultMode of its files; Kubernetes' default is 0644 */
  readonly secret?: { readonly secretName?: string; readonly defaultMode?: number };
}

/** What a node and a cluster give to a pod. */
export interface Surroundings {
  /** File of the network namespace that the pod is in. */
  readonly network: string;
  /** What stands for a field of the pod in its environment: `spec.nodeName`, `status.podIP`. @throws Error for one that is not known */
  field(path: string): string;
  /** Where on this machine a volume's files are, made and filled. */
  folder(volume: Volume): string;
  /** Names that the cluster's DNS knows -> address. */
  readonly names?: Readonly<Record<string, string>>;
  /** How the API server is reached, and a folder with `token`, `ca.crt` and `namespace`; undefined: there is none. */
  readonly serviceAccount?: { readonly folder: string; readonly host: string; readonly port: number };
}

/** Kubernetes' own default. */
const GRACE_SECONDS = 30;

/** A pod that wants what this cannot do. */
export class PodUnsupported extends Error {
  override readonly name = 'PodUnsupported';
}

/**
 * The arguments of `podman run` for a container of a pod, from the first option to the last argument of its command: the user, the
 * capabilities, the root, the mounts and the limits that Kubernetes would give it, and nothing more.
 */
export function runArguments(pod: Pod, container: Container, surroundings: Surroundings): string[] {
  const { command: [program, ...before] = [], args = [] } = container;
  const environment = (container.env ?? []).map(
    (variable) => [variable.name, readVariable(variable, surroundings)] as const,
  );
  const expand = (text: string) => expandVariables(text, new Map(environment));
  return [
    ...['--network', `ns:${surroundings.network}`],
    ...['--stop-timeout', `${pod.terminationGracePeriodSeconds ?? GRACE_SECONDS}`],
    ...(pod.hostPID === true ? ['--pid', 'host'] : []),
    ...Object.entries(surroundings.names ?? {}).flatMap(([name, address]) => ['--add-host', `${name}:${address}`]),
    ...serviceAccount(pod, surroundings),
    ...security(pod, container.securityContext ?? {}),
    ...limits(container.resources?.limits ?? {}),
    ...environment.flatMap(([name, value]) => ['--env', `${name}=${expand(value)}`]),
    ...(container.volumeMounts ?? []).flatMap((mount) => volume(pod, mount, surroundings)),
    ...(program === undefined ? [] : ['--entrypoint', program]),
    container.image ?? '',
    ...[...before, ...args].map(expand),
  ];
}

function security(pod: Pod, context: SecurityContext): string[] {
  const {
    privileged,
    allowPrivilegeEscalation,
    readOnlyRootFilesystem,
    capabilities: { add = [], drop = [] } = {},
  } = context;
  const user = context.runAsUser ?? pod.securityContext?.runAsUser;
  const group = context.runAsGroup ?? pod.securityContext?.runAsGroup ?? pod.securityContext?.fsGroup;
  const extra = pod.securityContext?.fsGroup;
  return [
    ...(user === undefined ? [] : ['--user', group === undefined ? `${user}` : `${user}:${group}`]),
    ...(extra === undefined ? [] : ['--group-add', `${extra}`]),
    ...(privileged === true ? ['--privileged'] : []),
    ...(allowPrivilegeEscalation === false ? ['--security-opt', 'no-new-privileges'] : []),
    // podman would put writable file systems over /tmp and /run, Kubernetes does not.
    ...(readOnlyRootFilesystem === true ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...drop.flatMap((name) => ['--cap-drop', name.toLowerCase()]),
    ...add.flatMap((name) => ['--cap-add', name]),
  ];
}

/** Where a pod finds its token: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

function serviceAccount(pod: Pod, { serviceAccount: given }: Surroundings): string[] {
  if (given === undefined) return [];
  const server = { KUBERNETES_SERVICE_HOST: given.host, KUBERNETES_SERVICE_PORT: given.port };
  return [
    ...Object.entries(server).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...(pod.automountServiceAccountToken === false ? [] : ['--volume', `${given.folder}:${SERVICE_ACCOUNT}:ro`]),
  ];
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  k: 1e3,
  M: 1e6,
  G: 1e9,
};

function limits({ memory, cpu }: Readonly<Record<string, string | number>>): string[] {
  const [, number = '', unit = ''] = /^([\d.]+)([A-Za-z]*)$/.exec(`${memory ?? ''}`) ?? [];
  const factor = UNITS[unit];
  if (factor === undefined || (memory !== undefined && number === ''))
    throw new PodUnsupported(`a limit of memory of ${memory}`);
  const swapless = `${Number(number) * factor}`;
  return [
    ...(memory === undefined ? [] : ['--memory', swapless, '--memory-swap', swapless]),
    ...(cpu === undefined ? [] : ['--cpus', `${cpu}`]),
  ];
}

function readVariable({ name, value, valueFrom }: Variable, { field }: Surroundings): string {
  if (valueFrom === undefined) return value ?? '';
  if (valueFrom.fieldRef === undefined)
    throw new PodUnsupported(`the variable ${name}, which is from no field of the pod`);
  return field(valueFrom.fieldRef.fieldPath);
}

/** `$(NAME)` in arguments and values, as Kubernetes expands it; `$$` keeps it as it is. */
function expandVariables(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([\w.-]+)\)/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (values.get(name) ?? whole),
  );
}

function volume(pod: Pod, { name, mountPath, readOnly }: Mount, { folder }: Surroundings): string[] {
  const found = pod.volumes?.find((one) => one.name === name);
  if (found === undefined) throw new PodUnsupported(`a mount of ${name}, which is no volume of the pod`);
  // Kubernetes gives ConfigMaps and Secrets read-only, whatever the mount says.
  const given = found.configMap !== undefined || found.secret !== undefined;
  return ['--volume', `${folder(found)}:${mountPath}${readOnly === true || given ? ':ro' : ''}`];
}

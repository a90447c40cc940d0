import { createHash } from 'node:crypto';
import { BEHAVIOUR, type Behaviour, NEWEST } from './release.ts';
import type { ApiObject } from './store.ts';

/** A pod in short. What is omitted is as in a usual one. */
export interface PodDescription {
  readonly namespace: string;
  readonly name: string;
  /** Where it runs; undefined: not placed yet. */
  readonly node?: string;
  readonly ips?: readonly string[];
  readonly uid?: string;
  readonly hostNetwork?: boolean;
  readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  /** When the kubelet accepted it. Unix milliseconds. */
  readonly startedMs?: number;
  /** When its sandbox was there, with its network; with `startedMs` by default. */
  readonly sandboxMs?: number;
  /** When its containers started: they are that many. Two, with the sandbox, by default; undefined among them: not yet. */
  readonly containersMs?: readonly (number | undefined)[];
  /** When its containers ended. */
  readonly finishedMs?: number;
  /** `deletionTimestamp`: when its grace period is over, so mostly in the future. */
  readonly deletingMs?: number;
  readonly owner?: { readonly kind: string; readonly name: string };
  readonly labels?: Readonly<Record<string, string>>;
}

/** A node in short. */
export interface NodeDescription {
  readonly name: string;
  readonly zone?: string;
  readonly region?: string;
  readonly internalIps?: readonly string[];
  readonly externalIps?: readonly string[];
  readonly podCidrs?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** A UID that is always the same for the same name. */
function uidOf(...names: readonly string[]): string {
  const hex = createHash('sha256').update(names.join('/')).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

/** A whole pod as the API server has it, 8 to 10 KB of JSON: most of it has nothing to do with addresses. */
export function podObject(pod: PodDescription, behaviour: Behaviour = BEHAVIOUR[NEWEST]): ApiObject {
  const { namespace, name, node, ips = [], phase = node === undefined ? 'Pending' : 'Running' } = pod;
  const { startedMs = Date.now() - 60_000, sandboxMs = startedMs, containersMs = [sandboxMs, sandboxMs] } = pod;
  const started = iso(startedMs);
  const owner = pod.owner && {
    apiVersion: pod.owner.kind === 'Job' ? 'batch/v1' : 'apps/v1',
    ...pod.owner,
    uid: uidOf(pod.owner.kind, pod.owner.name),
    controller: true,
    blockOwnerDeletion: true,
  };
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name,
      namespace,
      uid: pod.uid ?? uidOf(namespace, name),
      creationTimestamp: started,
      labels: { app: name.replace(/-[^-]*$/, ''), 'pod-template-hash': '5d4f8c7b9c', ...pod.labels },
      annotations: { 'example.com/config': 'x'.repeat(900), 'prometheus.io/scrape': 'true' },
      ...(pod.deletingMs === undefined
        ? {}
        : { deletionTimestamp: iso(pod.deletingMs), deletionGracePeriodSeconds: 30 }),
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
      managedFields: managedFields(started),
    },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      ...(pod.hostNetwork === true ? { hostNetwork: true } : {}),
      restartPolicy: 'Always',
      serviceAccountName: 'default',
      containers: containersMs.map((_, i) => container(containerName(i))),
      volumes: [{ name: 'kube-api-access-x7k2p', projected: { defaultMode: 420, sources: [] } }],
      tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }],
    },
    status: {
      phase,
      conditions: [
        ...(node === undefined ? [] : [readyToStart(pod, { startedMs, sandboxMs, containersMs }, behaviour)]),
        ...['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => condition(type, started)),
      ],
      ...(ips.length === 0 ? {} : { hostIP: '192.168.0.1', podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
      ...(node === undefined ? {} : { startTime: started }),
      containerStatuses: containersMs.map((ms, i) => containerStatus(containerName(i), ms, pod.finishedMs)),
      qosClass: 'Burstable',
    },
  };
}

/** A whole node. */
export function nodeObject(node: NodeDescription): ApiObject {
  const { name, zone, region, internalIps = [], externalIps = [], podCidrs = [] } = node;
  const label = (key: string, value: string | undefined) => (value === undefined ? {} : { [key]: value });
  const address = (type: string) => (text: string) => ({ type, address: text });
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: {
      name,
      uid: uidOf('node', name),
      labels: {
        'kubernetes.io/hostname': name,
        ...label('topology.kubernetes.io/zone', zone),
        ...label('topology.kubernetes.io/region', region),
        ...node.labels,
      },
      managedFields: managedFields(iso(Date.now())),
    },
    spec: podCidrs.length === 0 ? {} : { podCIDR: podCidrs[0], podCIDRs: podCidrs },
    status: {
      addresses: [
        ...internalIps.map(address('InternalIP')),
        ...externalIps.map(address('ExternalIP')),
        { type: 'Hostname', address: name },
      ],
      capacity: { cpu: '16', memory: '65843532Ki', pods: '110' },
      images: Array.from({ length: 20 }, (_, i) => ({ names: [`registry.example/image-${i}`], sizeBytes: 1e8 + i })),
    },
  };
}

function condition(type: string, at: string): object {
  return { type, status: 'True', lastProbeTime: null, lastTransitionTime: at };
}

function container(name: string): object {
  const env = Array.from({ length: 12 }, (_, i) => ({
    name: `SETTING_${i}`,
    value: `value-of-setting-${i}-of-${name}`,
  }));
  return {
    name,
    image: `registry.example/team/${name}:v1.2.3`,
    env,
    ports: [{ containerPort: 8080, protocol: 'TCP' }],
    resources: { limits: { memory: '512Mi' }, requests: { cpu: '100m', memory: '256Mi' } },
    livenessProbe: { httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' }, periodSeconds: 10 },
    volumeMounts: [{ name: 'kube-api-access-x7k2p', readOnly: true, mountPath: '/var/run/secrets' }],
  };
}

function containerStatus(name: string, startedMs: number | undefined, finishedMs: number | undefined): object {
  if (startedMs === undefined) return { name, state: { waiting: { reason: 'ContainerCreating' } }, ready: false };
  const startedAt = iso(startedMs);
  const id = `containerd://${createHash('sha256').update(name).digest('hex')}`;
  const ended = finishedMs !== undefined && {
    terminated: { exitCode: 0, reason: 'Completed', startedAt, finishedAt: iso(finishedMs), containerID: id },
  };
  return { name, state: ended || { running: { startedAt } }, ready: !ended, restartCount: 0, containerID: id };
}

function containerName(index: number): string {
  return ['main', 'proxy'][index] ?? `sidecar-${index}`;
}

interface StartTimes {
  readonly startedMs: number;
  readonly sandboxMs: number;
  readonly containersMs: readonly (number | undefined)[];
}

/** The condition PodReadyToStartContainers, as the kubelet of a release sets it. */
function readyToStart(
  { ips = [] }: PodDescription,
  { startedMs, sandboxMs, containersMs }: StartTimes,
  { readyWithSandbox }: Behaviour,
): object {
  const starts = containersMs.filter((ms) => ms !== undefined);
  const all = starts.length === containersMs.length;
  const ready = ips.length > 0 && (readyWithSandbox || all);
  const at = iso(!ready ? startedMs : readyWithSandbox ? sandboxMs : Math.max(sandboxMs, ...starts));
  return { ...condition('PodReadyToStartContainers', at), status: ready ? 'True' : 'False' };
}

/** What `kubectl get -o yaml` hides: a third of every object. */
function managedFields(time: string): object[] {
  const fields = (prefix: string) =>
    Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f:${prefix}${i}`, { '.': {}, 'f:name': {} }]));
  return ['kube-controller-manager', 'kubelet'].map((manager) => ({
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:metadata': fields('label'), 'f:spec': fields('container'), 'f:status': fields('condition') },
  }));
}

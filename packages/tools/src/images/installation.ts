import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Rule } from '@egressd/world/api-server/access';
import type { SecretCommand } from '@egressd/world/daemons/api-server-process';
import type { DaemonProcess } from '@egressd/world/daemons/daemon-process';
import type { Chosen, Installed } from '@egressd/world/daemons/daemons';
import { NODES, OPS } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';
import { find, type KubeObject, podSpec, render } from '../chart/helm.ts';
import { imageName } from './build.ts';
import { type Container, type Pod, runArguments, type Surroundings } from './pod.ts';
import { type Isolated, podman, runOne, startOne } from './storage.ts';
import { PodVolumes } from './volumes.ts';

const NAMESPACE = 'egressd';
/** Where kubeconfig leads, which the stand-in writes. */
interface Kubeconfig {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string } },
  ];
  readonly users: readonly [{ readonly user: { readonly token: string } }];
}

/**
 * The chart, installed in the world: every container of it runs from its image as the rendered pods say, with their user,
 * capabilities, root, mounts, environment and arguments, in the network namespace of its node. What is not of the chart:
 *
 *   API server   the stand-in, with the rules that the chart asks for
 *   kubelet      `PodVolumes` lays Secrets, ConfigMaps, host paths and the service account's token
 *   DNS          one name, in /etc/hosts
 */
class Installation implements Installed {
  readonly #world: World;
  readonly #objects: readonly KubeObject[];
  readonly #files: Map<string, Readonly<Record<string, string | Buffer>>>;
  #serviceAccount: Surroundings['serviceAccount'];
  #started = 0;

  constructor(world: World, objects: readonly KubeObject[]) {
    this.#world = world;
    this.#objects = objects;
    const { metadata, data = {} } = find(objects, 'ConfigMap');
    this.#files = new Map([[metadata?.name ?? '', data]]);
  }

  /** What the chart wants to be allowed, all of it together. */
  get rules(): readonly Rule[] {
    const roles = this.#objects.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole');
    return roles.flatMap((role) => (role as unknown as { readonly rules: readonly Rule[] }).rules);
  }

  /** Where the collectors' metrics are, on their nodes. */
  get collectorUrl(): string {
    const { ports = [] } = this.#collector().containers[0]!;
    return `http://127.0.0.1:${ports[0]!.containerPort}`;
  }

  /** What comes before the daemons: certificates into Secrets, and the sysctls of every node. */
  async prepare(apiServer: DaemonProcess, kubeconfig: string): Promise<void> {
    this.#serviceAccount = this.#writeServiceAccount(JSON.parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig);
    const job = podSpec(find(this.#objects, 'Job')) as Pod;
    await runOne(this.#command('certificates', OPS.name, job, job.containers[0]!));
    for (const pod of [this.#collector(), this.#exporter()]) await this.#fetchSecrets(pod, apiServer);
    for (const { name } of NODES)
      for (const container of this.#collector().initContainers ?? [])
        await runOne(this.#command(`init-${name}`, name, this.#collector(), container));
  }

  /** Starts a collector on a node. */
  collector(node: string): ChildProcess {
    const pod = this.#collector();
    return startOne(this.#command(`collector-${node}`, node, pod, pod.containers[0]!));
  }

  /** Starts the exporter. */
  exporter(): ChildProcess {
    const pod = this.#exporter();
    return startOne(this.#command('exporter', OPS.name, pod, pod.containers[0]!));
  }

  #collector() {
    return podSpec(find(this.#objects, 'DaemonSet'));
  }

  #exporter() {
    return podSpec(find(this.#objects, 'Deployment'));
  }

  /** @param name of the pod: its `emptyDir` lives as long as it, over restarts of its containers */
  #command(name: string, host: string, pod: Pod, container: Container): Isolated {
    const network = this.#world.namespaceFile(host);
    const folder = join(this.#world.folder, 'pods', name);
    const volumes = new PodVolumes(folder, join(this.#world.folder, 'nodes', host), pod, this.#files);
    const fields: Readonly<Record<string, string>> = {
      'spec.nodeName': host,
      'status.podIP': this.#world.layout.ops.address.v4,
      'metadata.namespace': NAMESPACE,
    };
    const surroundings: Surroundings = {
      network,
      field: (path) => fields[path] ?? '',
      folder: (volume) => volumes.folder(volume),
      names: { [`egressd-exporter.${NAMESPACE}.svc`]: this.#world.layout.exporterAddress },
      ...(this.#serviceAccount === undefined ? {} : { serviceAccount: this.#serviceAccount }),
    };
    const own = ['--name', `${basename(network)}-${name}-${this.#started++}`];
    return podman('run', '--rm', '--pull', 'never', ...own, ...runArguments(pod, container, surroundings));
  }

  /** As a kubelet gives it to a pod. */
  #writeServiceAccount({ clusters, users }: Kubeconfig) {
    const { server, 'certificate-authority-data': authority } = clusters[0].cluster;
    const { hostname: host, port } = new URL(server);
    const folder = join(this.#world.folder, 'serviceaccount');
    mkdirSync(folder, { recursive: true });
    const files = { token: users[0].user.token, 'ca.crt': Buffer.from(authority, 'base64'), namespace: NAMESPACE };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    return { folder, host, port: Number(port) };
  }

  /** The Secrets that a pod mounts, from the API server. */
  async #fetchSecrets(pod: Pod, apiServer: DaemonProcess): Promise<void> {
    for (const { secret } of pod.volumes ?? []) {
      const name = secret?.secretName;
      if (name === undefined) continue;
      const file = join(this.#world.folder, `${name}.json`);
      const command: SecretCommand = { namespace: NAMESPACE, name, file };
      apiServer.writeLine(`secret ${JSON.stringify(command)}`);
      const { data } = JSON.parse(await untilThere(file)) as { data: Record<string, string> };
      const decoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const);
      this.#files.set(name, Object.fromEntries(decoded));
    }
  }
}

const ASK_AGAIN_MS = 50;
const ASK_TIMES = 200;

async function untilThere(file: string): Promise<string> {
  for (let i = 0; i < ASK_TIMES; i++) {
    if (existsSync(file)) return readFileSync(file, 'utf8');
    await pause(ASK_AGAIN_MS);
  }
  throw new Error(`the API server's stand-in wrote no ${file}`);
}

/** Renders the chart for the world, with the images of this checkout. */
export async function installation(world: World, { config, readInterval }: Chosen): Promise<Installation> {
  const imageOf = (daemon: 'collector' | 'exporter') => {
    const [, repository, tag] = /^(.*):(.*)$/.exec(imageName(daemon)) ?? [];
    return { repository, tag };
  };
  const { ops } = world.layout;
  const excluded = 'node' in ops ? { 'exclude-namespaces': `kube-system,${ops.namespace}` } : {};
  const values = {
    collector: {
      image: imageOf('collector'),
      // The proof looks at every address, also in the internet.
      extraArgs: { 'read-interval': readInterval, 'group-public-ips': false, ...excluded },
    },
    exporter: { image: imageOf('exporter'), config: JSON.stringify(config) },
  };
  return new Installation(world, await render({ values, namespace: NAMESPACE }));
}

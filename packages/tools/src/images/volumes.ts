import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Pod, PodUnsupported, type Volume } from './pod.ts';

/** Kubernetes' default mode of files of Secrets and ConfigMaps, and what it gives an `emptyDir`: its group owns what is made in it. */
const FILE_MODE = 0o644;
const EMPTY_MODE = 0o2777;
const FOLDER_MODE = 0o755;
/** The kernel's own file systems are the same for every node of the world. */
const KERNEL = /^\/(proc|sys)(\/|$)/;

/** What the objects of a cluster hold: name of a ConfigMap or Secret -> name of a file -> what is in it. */
type Objects = ReadonlyMap<string, Readonly<Record<string, string | Buffer>>>;

/** Where the volumes of one pod lie, as its kubelet would lay them. */
export class PodVolumes {
  readonly #folder: string;
  readonly #node: string;
  readonly #pod: Pod;
  readonly #objects: Objects;

  /** @param folder the pod's own @param node what stands for the root of the node's file system */
  constructor(folder: string, node: string, pod: Pod, objects: Objects) {
    this.#folder = folder;
    this.#node = node;
    this.#pod = pod;
    this.#objects = objects;
  }

  /** Makes a volume, or finds it as it was made. @returns its folder @throws PodUnsupported */
  folder(volume: Volume): string {
    const { name, hostPath, emptyDir, configMap, secret } = volume;
    if (hostPath !== undefined) return this.#hostPath(hostPath.path);
    if (emptyDir !== undefined) return this.#make(name, EMPTY_MODE);
    if (configMap !== undefined) return this.#files(name, configMap.name, FILE_MODE);
    if (secret !== undefined) return this.#files(name, secret.secretName, secret.defaultMode ?? FILE_MODE);
    throw new PodUnsupported(`the volume ${name}, which is made of nothing that is known here`);
  }

  #hostPath(path: string): string {
    if (KERNEL.test(path)) return path;
    const folder = join(this.#node, path);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  #make(name: string, mode: number): string {
    const folder = join(this.#folder, name);
    mkdirSync(folder, { recursive: true });
    this.#giveToGroup(folder, mode);
    return folder;
  }

  #files(name: string, object = '', mode: number): string {
    const files = this.#objects.get(object);
    if (files === undefined) throw new PodUnsupported(`the object ${object}, which is not there`);
    const folder = this.#make(name, FOLDER_MODE);
    for (const [file, content] of Object.entries(files)) {
      writeFileSync(join(folder, file), content);
      this.#giveToGroup(join(folder, file), mode);
    }
    return folder;
  }

  #giveToGroup(path: string, mode: number): void {
    chownSync(path, 0, this.#pod.securityContext?.fsGroup ?? 0);
    chmodSync(path, mode);
  }
}

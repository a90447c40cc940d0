/** Releases of Kubernetes whose differences the stand-in knows, as real API servers of 1.33.13 and 1.36.3 were seen to behave. */
export type Release = '1.33' | '1.36';

/** What differs. */
export interface Behaviour {
  readonly gitVersion: string;
  /** Pages of a list come from etcd, so that a compaction ends lists under way; else from snapshots in memory. */
  readonly pagesFromEtcd: boolean;
  /** `sendInitialEvents`: a watch that begins with everything (feature gate WatchList). */
  readonly watchList: boolean;
  /** The kubelet sets `PodReadyToStartContainers` with the sandbox; else once all containers have started. */
  readonly readyWithSandbox: boolean;
}

export const BEHAVIOUR: Readonly<Record<Release, Behaviour>> = {
  '1.33': { gitVersion: 'v1.33.13', pagesFromEtcd: true, watchList: false, readyWithSandbox: false },
  '1.36': { gitVersion: 'v1.36.3', pagesFromEtcd: false, watchList: true, readyWithSandbox: true },
};

export const NEWEST: Release = '1.36';

import type { Log } from '@egressd/daemon/log';
import { BLIND_SPOTS, type BlindSpot } from '@egressd/flow/node-health';
import type { ChosenSource } from '../conntrack/choose.ts';
import type { PodTraffic } from '../conntrack/pod-traffic.ts';
import type { BlindSpots, ConntrackSource, KernelView } from '../conntrack/source.ts';

const INTERVAL_MS = 60_000;
/** Sockets are counted whatever carries their packets. */
const NONE: BlindSpots = { bridge: [], ipvs: [], flowtable: [], pods: [] };
const UNKNOWN: BlindSpots = { bridge: undefined, ipvs: undefined, flowtable: undefined, pods: undefined };

const WARNING: Readonly<Record<BlindSpot, { readonly message: string; readonly advice: string }>> = {
  bridge: {
    message: 'traffic between pods on a bridge passes conntrack by and is not counted',
    advice: 'load br_netfilter and set net.bridge.bridge-nf-call-iptables=1 (and bridge-nf-call-ip6tables)',
  },
  ipvs: {
    message: 'traffic through IPVS passes conntrack by and is not counted',
    advice: 'set net.ipv4.vs.conntrack=1',
  },
  flowtable: {
    message: 'what a flowtable forwards passes conntrack by and is not counted',
    advice: 'give the flowtable the flag "counter" where it is defined (nftables, kernel 5.7 or newer)',
  },
  pods: {
    message: "pods' links moved more than ten times the bytes that conntrack counted: their traffic passes it by",
    advice:
      'find what forwards packets of pods there (an eBPF data plane such as Cilium or Calico with eBPF, a tc redirect, NOTRACK); SUPPORT.md says by network what can be counted',
  },
};

interface BlindSpotOptions {
  readonly source: Pick<ConntrackSource, 'blindSpots' | 'name'> & Partial<Pick<ChosenSource, 'passesNetfilterBy'>>;
  readonly podTraffic: Pick<PodTraffic, 'look'>;
  readonly log: Log;
  readonly record: (found: BlindSpots) => void;
}

/** Looks for blind spots now and every minute, and logs each change. `now`: those that there are. */
export async function followBlindSpots({
  source,
  podTraffic,
  log,
  record,
}: BlindSpotOptions): Promise<{ now: () => readonly BlindSpot[]; stop: () => void }> {
  let before = UNKNOWN;
  const look = async () => {
    // A reading thread that died is logged by the read of connections.
    const view = await source.blindSpots?.().catch(() => undefined);
    const found = source.name === 'ebpf' ? NONE : foundIn(view, podTraffic);
    for (const reason of BLIND_SPOTS) logChange(reason, before[reason], found[reason], log);
    before = found;
    record(found);
    const spots = BLIND_SPOTS.filter((reason) => (found[reason]?.length ?? 0) > 0);
    if (spots.length > 0) source.passesNetfilterBy?.(`traffic passes netfilter's table by (${spots.join(', ')})`);
  };
  await look();
  const timer = setInterval(look, INTERVAL_MS).unref();
  const now = () => BLIND_SPOTS.filter((reason) => (before[reason]?.length ?? 0) > 0);
  return { now, stop: () => clearInterval(timer) };
}

function foundIn(view: KernelView | undefined, podTraffic: Pick<PodTraffic, 'look'>): BlindSpots {
  return view === undefined ? UNKNOWN : { ...view.spots, pods: uncountedPods(view, podTraffic) };
}

/** By what a data plane is known, where one is. */
function uncountedPods({ podLinks, dataPlanes }: KernelView, podTraffic: Pick<PodTraffic, 'look'>) {
  const found = podTraffic.look(podLinks);
  if (found === undefined) return undefined;
  if (!found) return [];
  return dataPlanes.length > 0 ? dataPlanes : ['pods'];
}

function logChange(reason: BlindSpot, before: BlindSpots[BlindSpot], now: BlindSpots[BlindSpot], log: Log): void {
  const { message, advice } = WARNING[reason];
  const was = before?.join(' ') ?? '';
  if (now === undefined) {
    if (before !== undefined) log.warn('it is not known any more whether conntrack sees all traffic', { reason });
  } else if (now.length > 0) {
    if (now.join(' ') !== was) log.warn(message, { reason, of: now.join(' '), advice });
  } else if (was !== '') log.info('this traffic is counted now', { reason, of: was });
}

import type { Log } from '@egressd/daemon/log';
import { type ChosenSource, chooseSource } from '../conntrack/choose.ts';
import { mapsFolder, pinnedMaps } from '../conntrack/cilium/maps.ts';
import { openCiliumSource } from '../conntrack/cilium/source.ts';
import { isCounting, openEbpfSource } from '../conntrack/ebpf/source.ts';
import { openNetfilterSource } from '../conntrack/netfilter/source.ts';
import type { EventsMode } from '../conntrack/netfilter/worker-messages.ts';
import { selectZones } from '../conntrack/netfilter/zone-filter.ts';
import { SourceError } from '../conntrack/source-error.ts';
import type { CollectorFlags } from '../flags.ts';

/**
 * Opens the source that `-ct-mode` asks for, or the best that there is.
 * @param mayAttach eBPF programs may be attached where none are, though they were not asked for
 * @throws SourceError where none can be read
 */
export function openSource(
  flags: CollectorFlags,
  events: EventsMode,
  log: Log,
  mayAttach = true,
): Promise<ChosenSource> {
  const { ctMode, hostPid, ciliumClockSource, conntrackZones } = flags;
  const folder = () => mapsFolder(hostPid);
  const openNetfilter = async () => {
    const source = await openNetfilterSource({ hostPid, events });
    return conntrackZones.length === 0 ? source : selectZones(source, conntrackZones.map(Number));
  };
  const ebpf = {
    hostPid,
    cgroup: flags.ebpfCgroup,
    bpfFolder: flags.ebpfBpfFs,
    maxPairs: flags.ebpfMaxPairs,
    unit: flags.ebpfPackets,
  };
  return chooseSource({
    mode: ctMode,
    openNetfilter,
    openCilium: (forced) => openCiliumSource({ folder: folder(), hostPid, forced, clockSource: ciliumClockSource }),
    openEbpf: async () => {
      if (mayAttach || ctMode === 'ebpf' || isCounting(ebpf))
        return openEbpfSource({ ...ebpf, openConnections: openNetfilter });
      throw new SourceError(
        'absent',
        'no collector counts by eBPF here, and -dump-ct attaches nothing unless asked for',
      );
    },
    hasEbpfMaps: () => isCounting(ebpf),
    hasCiliumMaps: () => pinnedMaps(folder()).length > 0,
    log,
    now: () => performance.now(),
  });
}

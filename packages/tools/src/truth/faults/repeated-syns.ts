import { PODS } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';

/** How many SYNs all pods have sent again: `TCPSynRetrans` of proc_net_netstat(5), whose lines come in pairs, names and values. */
export async function repeatedSyns(world: World): Promise<number> {
  const counts = await Promise.all(
    PODS.map(async ({ name }) => {
      const lines = (await world.run(name, 'cat', ['/proc/net/netstat'])).split('\n');
      const [names = [], values = []] = lines
        .filter((line) => line.startsWith('TcpExt:'))
        .map((line) => line.split(' '));
      return Number(values[names.indexOf('TCPSynRetrans')]);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

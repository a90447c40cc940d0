import { execFileSync } from 'node:child_process';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { expect, test } from '@jest/globals';

/**
 * As the chart runs the init container: root without any capability, in a network of its own, with the node's folder of sysctls
 * mounted where the collector looks for it. The node is a network namespace too.
 */
const SCRIPT = `
  set -e
  mount -t tmpfs none /mnt && mkdir -p /mnt/hostproc/sys/net/netfilter
  for folder in bin etc lib lib64 opt proc root run sbin sys tmp usr var dev home "$ROOT_FOLDER"; do
    [ -d "/$folder" ] && mkdir -p "/mnt/$folder" && mount --rbind "/$folder" "/mnt/$folder"
  done
  echo 0 > /proc/sys/net/netfilter/nf_conntrack_acct
  mount --bind /proc/sys/net/netfilter /mnt/hostproc/sys/net/netfilter
  unshare --net chroot /mnt setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$@"
  cat /proc/sys/net/netfilter/nf_conntrack_acct /proc/sys/net/netfilter/nf_conntrack_timestamp
`;

test('the init container needs no capability to set the sysctls of its node', () => {
  const command = [...daemonCommand('collector'), '-init'];
  const args = ['--mount', '--net', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh', ...command];
  const env = { ...process.env, ROOT_FOLDER: process.cwd().split('/')[1] ?? '' };
  const said = execFileSync('unshare', args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });
  expect(said.trim().split('\n').slice(-2)).toEqual(['1', '1']);
});

import type { Log } from '@egressd/daemon/log';
import type { EventsMode } from '../conntrack/netfilter/worker-messages.ts';
import type { ConntrackSource } from '../conntrack/source.ts';

const ADVICE = 'run the collector once with -init, or set it with sysctl';
/** What is lost without DESTROY events. */
const LOST = 'what a connection moves between the last read that saw it and its end';

/** Logs what the sysctls of conntrack mean for the numbers, once, at the start; `egressd_collector_conntrack_sysctl` goes on showing them. */
export function warnAboutSysctls(source: ConntrackSource, mode: EventsMode, log: Log): void {
  if (source.name !== 'netfilter') return;
  const { accounting, timestamps, events } = source.sysctls();
  if (accounting === false)
    log.error('nf_conntrack_acct is off: new connections have no counters', {
      sysctl: 'nf_conntrack_acct',
      advice: ADVICE,
    });
  if (timestamps === false)
    log.warn('nf_conntrack_timestamp is off: a connection may be taken for the one before with the same ports', {
      sysctl: 'nf_conntrack_timestamp',
      advice: ADVICE,
    });
  if (mode === 'off') log.info('DESTROY events are not read (-conntrack-events=off)', { lost: LOST });
  else if (events === 0)
    log.warn('nf_conntrack_events is 0: the kernel sends no DESTROY events', {
      sysctl: 'nf_conntrack_events',
      lost: LOST,
      advice: ADVICE,
    });
  else if (events === 2)
    log.info('nf_conntrack_events is 2: no DESTROY events for connections opened without a listener', {
      sysctl: 'nf_conntrack_events',
      lost: 'of those opened before this collector started, what they moved between its last read and their end',
      advice: ADVICE,
    });
}

import type { Workload } from '../owners/owners.ts';
import { asList, asMap, asText } from './json.ts';

/** The name of a CronJob's Job ends in the minute it was scheduled for, in minutes since 1970: these are 2009 to 2050. */
const CRON_MINUTES = { from: 20_500_000, to: 42_500_000 };

/**
 * The workload of a pod from its own metadata alone, without watching ReplicaSets and Jobs: the name of a Deployment's ReplicaSet is
 * the Deployment's and the pod template's hash, that of a CronJob's Job the CronJob's and the scheduled minute. undefined: a pod without
 * a controller, or a static one, whose controller is its node.
 */
export function workloadOf(metadata: Readonly<Record<string, unknown>>): Workload | undefined {
  const owner = asList(metadata.ownerReferences)
    .map(asMap)
    .find((one) => one.controller === true);
  const [kind, name] = [asText(owner?.kind), asText(owner?.name)];
  if (kind === '' || name === '' || kind === 'Node') return undefined;
  if (kind === 'ReplicaSet') {
    const hash = `-${asText(asMap(metadata.labels)['pod-template-hash'])}`;
    if (hash !== '-' && name.endsWith(hash)) return { kind: 'Deployment', name: name.slice(0, -hash.length) };
  }
  if (kind === 'Job') {
    const minutes = /^(.+)-(\d{8})$/.exec(name);
    if (minutes !== null && Number(minutes[2]) >= CRON_MINUTES.from && Number(minutes[2]) <= CRON_MINUTES.to)
      return { kind: 'CronJob', name: minutes[1]! };
  }
  return { kind, name };
}

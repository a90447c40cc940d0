import type { SettingIssue } from '../http/settings.ts';

/** Labels of one end, behind `src_` or `dst_`, in the order of a JSON line. */
const END_LABELS = [
  'ip',
  'ip_type',
  'pod',
  'namespace',
  'node',
  'zone',
  'region',
  'workload_kind',
  'workload',
] as const;

type End = 'src' | 'dst';

/** Every label that a series can have, in the order of a JSON line. A source has no `ip_type`: it is never public. */
export type LabelName =
  | Exclude<`${End}_${(typeof END_LABELS)[number]}`, 'src_ip_type'>
  | 'dst_network'
  | 'dst_cloud_service'
  | 'proto'
  | 'cross_zone'
  | 'scope'
  | 'distance';

/** All of them. */
export const LABEL_NAMES: readonly LabelName[] = [
  ...ofBothEnds(...END_LABELS).filter((name) => name !== ('src_ip_type' as LabelName)),
  'dst_network',
  'dst_cloud_service',
  'proto',
  'cross_zone',
  'scope',
  'distance',
];

/** Labels that say how far bytes went, and where to outside the cluster. */
const DISTANCE: readonly LabelName[] = ['dst_ip_type', 'dst_network', 'cross_zone', 'scope'];

/** What `regionLabels` adds. */
export const REGION_LABELS: readonly LabelName[] = ['src_region', 'dst_region', 'scope'];

/**
 * Sets of labels by name, from much detail to little. Each sums up what the one before tells apart, and no byte is in one and not in another.
 *
 *   pods        who, to the pod and its address        series: pairs of pods, and of pods with addresses outside
 *   workloads   Deployment, StatefulSet ... and zone   pairs of workloads x zones of the one x zones of the other
 *   namespaces  namespace and zone                     pairs of namespaces x zones x zones
 *   zones       zone                                   zones x zones
 */
export const LABEL_SETS = {
  pods: [...ofBothEnds('ip', 'pod', 'namespace', 'node', 'zone'), 'dst_ip_type', 'proto', 'cross_zone'],
  workloads: [...ofBothEnds('namespace', 'workload_kind', 'workload', 'zone', 'region'), ...DISTANCE],
  namespaces: [...ofBothEnds('namespace', 'zone', 'region'), ...DISTANCE],
  zones: [...ofBothEnds('zone', 'region'), ...DISTANCE],
} as const satisfies Readonly<Record<string, readonly LabelName[]>>;

/** Name of a set. */
export type LabelSetName = keyof typeof LABEL_SETS;

/** The set where none is named: what every release had. */
export const DEFAULT_LABEL_SET: LabelSetName = 'pods';

/** What a sink's settings say of its labels. Missing: the labels that every release had. */
export interface LabelChoice {
  readonly labelSet?: LabelSetName | undefined;
  /** Labels beside those of the set. */
  readonly addLabels?: readonly LabelName[] | undefined;
  /** Labels of the set that are left out: series that only differ in them are one. */
  readonly omitLabels?: readonly LabelName[] | undefined;
}

/**
 * The labels of a choice, in the order of `LABEL_NAMES`.
 * @param always labels that the kind of sink has in every set
 */
export function chosenLabels(
  { labelSet = DEFAULT_LABEL_SET, addLabels = [], omitLabels = [] }: LabelChoice,
  always: readonly LabelName[] = [],
): LabelName[] {
  const chosen = new Set<LabelName>([...LABEL_SETS[labelSet], ...addLabels, ...always]);
  for (const name of omitLabels) chosen.delete(name);
  return LABEL_NAMES.filter((name) => chosen.has(name));
}

/** Whether a choice is what every release had. */
export function isDefaultChoice(choice: LabelChoice): boolean {
  const { labelSet = DEFAULT_LABEL_SET, addLabels = [], omitLabels = [] } = choice;
  return labelSet === DEFAULT_LABEL_SET && addLabels.length === 0 && omitLabels.length === 0;
}

/** The end of an identity scheme: the labels, where they are not what every release had. */
export function schemeEnd(choice: LabelChoice, always: readonly LabelName[] = []): string {
  return isDefaultChoice(choice) ? '' : ` ${chosenLabels(choice, always).join()}`;
}

/** What is wrong with a choice beyond its types: a label that is both added and omitted, or omitted and not there. */
export function checkLabelChoice(choice: LabelChoice, always: readonly LabelName[] = []): SettingIssue[] {
  const { labelSet = DEFAULT_LABEL_SET, addLabels = [], omitLabels = [] } = choice;
  const there = new Set(chosenLabels({ labelSet, addLabels }, always));
  const path = ['omitLabels'];
  return omitLabels.flatMap((name) => {
    if (addLabels.includes(name)) return [{ path, message: `${name} is in addLabels too` }];
    if (there.has(name)) return [];
    return [{ path, message: `the label set ${labelSet} has no label ${name}` }];
  });
}

function ofBothEnds(...names: (typeof END_LABELS)[number][]): LabelName[] {
  return (['src', 'dst'] as const).flatMap((end) => names.map((name) => `${end}_${name}` as LabelName));
}

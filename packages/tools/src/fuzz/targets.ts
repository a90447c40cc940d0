import type { Target } from './target.ts';
import { BATCH } from './targets/batch.ts';
import { CHECKPOINT } from './targets/checkpoint.ts';
import { BTF, CILIUM_ENTRIES } from './targets/cilium.ts';
import { BATCH_FILE, CONNECTIONS_FILE } from './targets/collector-state.ts';
import { IP_HISTORY } from './targets/ip-history.ts';
import { KUBERNETES_LIST, KUBERNETES_OBJECT, KUBERNETES_WATCH } from './targets/kubernetes.ts';
import { NETLINK } from './targets/netlink.ts';
import { OTLP_ANSWER } from './targets/otlp.ts';
import { CONFIG, INVENTORY } from './targets/text.ts';

/** Every decoder of what others make. */
export const TARGETS: readonly Target[] = [
  NETLINK,
  CILIUM_ENTRIES,
  BTF,
  BATCH,
  CONNECTIONS_FILE,
  BATCH_FILE,
  CHECKPOINT,
  IP_HISTORY,
  CONFIG,
  OTLP_ANSWER,
  INVENTORY,
  KUBERNETES_LIST,
  KUBERNETES_OBJECT,
  KUBERNETES_WATCH,
];

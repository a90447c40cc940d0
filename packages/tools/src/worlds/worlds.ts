import type { Case } from './case.ts';
import { FLOWTABLE } from './flowtable.ts';
import { IPVS } from './ipvs.ts';
import { OVS } from './ovs.ts';

/** Worlds that need another kernel than many machines have, by name. */
export const WORLDS: Readonly<Record<string, readonly Case[]>> = { ovs: OVS, ipvs: IPVS, flowtable: FLOWTABLE };

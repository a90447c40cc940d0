import { stat } from 'node:fs/promises';
import { inNamespace } from '../native/netns.ts';
import { type AddressSocket, openAddressSocket } from './node-addresses.ts';

/** Opens a socket for the node's addresses, in the network namespace of process 1 instead of the own one where the pod has its own. */
export async function openHostAddresses(hostPid: boolean): Promise<AddressSocket> {
  if (!hostPid) return openAddressSocket();
  // Threads of libuv's pool keep the namespace of the thread that starts them: they start here, before it is left.
  await stat('/');
  return inNamespace('/proc/1/ns/net', openAddressSocket);
}

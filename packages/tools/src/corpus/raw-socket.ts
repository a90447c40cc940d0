import { inNamespace } from '@egressd/collector/native/netns';
import { isV4, parseAddress } from '@egressd/flow/address';
import { DataType, load } from 'ffi-rs';

/** linux/socket.h, linux/in.h */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const IPPROTO_RAW = 255;

const LIBC = 'libc';
const { I32, U8Array } = DataType;

/** Sends whole IP packets, header included, from a network namespace. */
export interface RawSocket {
  send(packet: Uint8Array, destination: string): void;
  close(): void;
}

/** Opens a raw socket in the network namespace of a file such as `/var/run/netns/NAME`. */
export function openRawSocket(namespace: string): RawSocket {
  const [v4, v6] = inNamespace(namespace, () => [AF_INET, AF_INET6].map((family) => openSocket(family)));
  return {
    send(packet, destination) {
      const address = parseAddress(destination)!;
      const mapped = isV4(address);
      const name = mapped ? nameV4(address) : nameV6(address);
      call(
        'sendto',
        [I32, U8Array, I32, I32, U8Array, I32],
        [mapped ? v4 : v6, packet, packet.length, 0, name, name.length],
      );
    },
    close() {
      for (const socket of [v4, v6]) call('close', [I32], [socket]);
    },
  };
}

function openSocket(family: number): number {
  return call('socket', [I32, I32, I32], [family, SOCK_RAW, IPPROTO_RAW]);
}

/** Calls a function of libc (opened by `inNamespace`) that gives -1 where it fails. */
function call(funcName: string, paramsType: DataType[], paramsValue: unknown[]): number {
  const result = load({ library: LIBC, funcName, retType: I32, paramsType, paramsValue, errno: true });
  const { value, errnoMessage } = result as unknown as { value: number; errnoMessage: string };
  if (value < 0) throw new Error(`${funcName}: ${errnoMessage}`);
  return value;
}

function nameV4(address: Uint8Array): Buffer {
  const name = Buffer.alloc(16);
  name.writeUInt16LE(AF_INET);
  name.set(address.subarray(12), 4);
  return name;
}

function nameV6(address: Uint8Array): Buffer {
  const name = Buffer.alloc(28);
  name.writeUInt16LE(AF_INET6);
  name.set(address, 8);
  return name;
}

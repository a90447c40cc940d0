import { addressKey, parseAddress } from '@egressd/flow/address';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Endpoint } from '../enrich/endpoint.ts';
import { Endpoints } from './endpoints.ts';

function end(ip: string, pod: string): Endpoint {
  const owner = { namespace: 's', pod, node: 'n', zone: 'z', region: 'r' };
  return { key: addressKey(parseAddress(ip)!), place: 'owned', owner };
}

test('one without a series is evicted', () => {
  const endpoints = new Endpoints();
  const id = endpoints.idOf(end('10.0.0.1', 'a'));
  endpoints.evictUnused(id);
  expect(endpoints.size).toBe(0);
  expect(() => endpoints.get(id)).toThrow('BUG');
});

test('an endpoint has one id as long as it is used, and no two have the same', () => {
  const all = ['10.0.0.1', '10.0.0.2'].flatMap((ip) => ['a', 'b', 'c', 'd'].map((pod) => end(ip, pod)));
  const step = fc.tuple(fc.nat(all.length - 1), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const endpoints = new Endpoints();
      const model = new Map<number, { id: number; uses: number }>();
      for (const [which, use] of steps) {
        const known = model.get(which);
        if (use) {
          const id = endpoints.idOf({ ...all[which]!, owner: { ...all[which]!.owner } });
          if (known !== undefined) expect(id).toBe(known.id);
          else for (const other of model.values()) expect(id).not.toBe(other.id);
          endpoints.retain(id);
          model.set(which, { id, uses: (known?.uses ?? 0) + 1 });
        } else if (known !== undefined) {
          endpoints.release(known.id);
          if (--known.uses === 0) model.delete(which);
        }
        expect(endpoints.size).toBe(model.size);
        for (const [index, { id }] of model) expect(endpoints.get(id).end).toEqual(all[index]);
      }
    }),
  );
});

import { badRequest, invalid, type StatusError } from './status.ts';
import type { ApiObject } from './store.ts';

/** DNS-1123 subdomain: letters, digits and hyphens between dots. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME = 253;

/** An object as a client wrote it: nothing of it is certain. */
type Written = Partial<Omit<ApiObject, 'metadata'>> & { readonly metadata?: Partial<ApiObject['metadata']> };

/**
 * What a real server refuses of an object that a client writes; undefined: nothing. Its metadata as apimachinery's `ValidateObjectMeta`
 * has it, and the namespace of an Event as `legacyValidateEvent` of kube-apiserver (1.33, 1.36) does for those without an `eventTime`.
 */
export function refusedObject(kind: string, namespace: string, object: Written): StatusError | undefined {
  if ((object.kind ?? kind) !== kind)
    return badRequest(`${object.kind} in version "${object.apiVersion}" cannot be handled as a ${kind}`);
  const { name = '', namespace: own = namespace } = object.metadata ?? {};
  if (own !== namespace)
    return badRequest('the namespace of the provided object does not match the namespace sent on the request');
  const wrong = refusedName(name) ?? (kind === 'Event' ? refusedPlace(object, namespace) : undefined);
  return wrong === undefined ? undefined : invalid(kind, name, wrong);
}

function refusedName(name: string): string | undefined {
  if (name === '') return 'metadata.name: Required value: name or generateName is required';
  if (name.length > MAX_NAME)
    return `metadata.name: Invalid value: "${name}": must be no more than ${MAX_NAME} characters`;
  if (SUBDOMAIN.test(name)) return undefined;
  return `metadata.name: Invalid value: "${name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'`;
}

/** Events of objects without a namespace (nodes) belong in `default`. */
function refusedPlace({ involvedObject }: Written, namespace: string): string | undefined {
  const { namespace: involved = '' } = (involvedObject ?? {}) as { namespace?: string };
  if ((involved === '' ? 'default' : involved) === namespace) return undefined;
  return `involvedObject.namespace: Invalid value: "${involved}": does not match event.namespace`;
}

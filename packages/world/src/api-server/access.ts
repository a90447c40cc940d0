import { forbidden, type RequestAttributes, type StatusError, UNAUTHORIZED } from './status.ts';

/** A rule of a ClusterRole (rbac.authorization.k8s.io/v1): `*` stands for all. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** The only objects that it is about; not given: all. `create` and `list` have no name, so such a rule does not allow them. */
  readonly resourceNames?: readonly string[];
}

/** What the exporter needs. */
export const EXPORTER_RULES: readonly Rule[] = [
  { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create'] },
  { apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: ['list'] },
];

/** Who sends no token. */
const ANONYMOUS = 'system:anonymous';

/** Authentication and authorization. Tokens and rules may change at any time. */
export class Access {
  /** Bearer tokens that are taken now. */
  tokens: readonly string[];
  rules: readonly Rule[];
  readonly user: string;

  constructor(tokens: readonly string[], rules: readonly Rule[], user: string) {
    this.tokens = tokens;
    this.rules = rules;
    this.user = user;
  }

  /** Why the token is refused; undefined: it is accepted, or there is none. @param authorization the header */
  authenticate(authorization: string | undefined): StatusError | undefined {
    return authorization === undefined || this.#takes(authorization) ? undefined : UNAUTHORIZED;
  }

  /** Why it may not, by its token; undefined: it may. Without a token it is `system:anonymous`, who may nothing. */
  check(authorization: string | undefined, asked: RequestAttributes): StatusError | undefined {
    return authorization === undefined ? forbidden(ANONYMOUS, asked) : this.authorize(asked);
  }

  /** Why no rule allows it; undefined: one does. */
  authorize({ verb, group, resource, namespace, name }: RequestAttributes): StatusError | undefined {
    const holds = (list: readonly string[], what: string) => list.includes('*') || list.includes(what);
    const named = ({ resourceNames }: Rule) => resourceNames === undefined || resourceNames.includes(name ?? '');
    const allowed = this.rules.some(
      (rule) =>
        holds(rule.apiGroups, group) && holds(rule.resources, resource) && holds(rule.verbs, verb) && named(rule),
    );
    return allowed ? undefined : forbidden(this.user, { verb, group, resource, namespace, name });
  }

  #takes(authorization: string): boolean {
    const token = /^Bearer (.+)$/.exec(authorization)?.[1];
    return token !== undefined && this.tokens.includes(token);
  }
}

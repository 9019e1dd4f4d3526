/** The connections that a cluster's network would allow: NetworkPolicy evaluated over rendered objects, for tests. */
import type { LabelSelector } from 'kubernetes-types/meta/v1';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from 'kubernetes-types/networking/v1';
import { contains, parseAddress, parseCidr } from '../../src/platform/net/cidrs';

type Labels = Readonly<Record<string, string>>;

/** One end of a connection: a pod (with the labels of its namespace), or an address outside of the cluster. */
export interface End {
  namespace?: string;
  labels?: Labels;
  ip?: string;
  /** The named ports of a pod. */
  ports?: Readonly<Record<string, number>>;
}

/** One connection, from the end that opens it. */
export interface Flow {
  from: End;
  to: End;
  port: number;
  protocol?: 'TCP' | 'UDP';
}

/**
 * Whether the policies of one namespace allow a flow: its source may send, and its target may receive. An end without a
 * policy is unrestricted, as in Kubernetes.
 */
export function isAllowed(policies: readonly NetworkPolicy[], flow: Flow): boolean {
  return sends(policies, flow) && receives(policies, flow);
}

function sends(policies: readonly NetworkPolicy[], { from, to, ...way }: Flow): boolean {
  const own = policies.filter((policy) => concerns(policy, from, 'Egress'));
  return (
    own.length === 0 || own.some(({ spec }) => spec?.egress?.some((rule) => rules(rule.to, rule.ports, to, to, way)))
  );
}

function receives(policies: readonly NetworkPolicy[], { from, to, ...way }: Flow): boolean {
  const own = policies.filter((policy) => concerns(policy, to, 'Ingress'));
  return (
    own.length === 0 ||
    own.some(({ spec }) => spec?.ingress?.some((rule) => rules(rule.from, rule.ports, from, to, way)))
  );
}

/** Without peers a rule is for everything, and without ports for every port. */
function rules(
  peers: NetworkPolicyPeer[] | undefined,
  ports: NetworkPolicyPort[] | undefined,
  other: End,
  target: End,
  { port, protocol = 'TCP' }: Pick<Flow, 'port' | 'protocol'>,
): boolean {
  const there = !peers?.length || peers.some((peer) => isPeer(peer, other));
  return there && (!ports?.length || ports.some((entry) => isPort(entry, target, port, protocol)));
}

function isPort(entry: NetworkPolicyPort, target: End, port: number, protocol: string): boolean {
  if ((entry.protocol ?? 'TCP') !== protocol) return false;
  if (entry.port === undefined) return true;
  const first = typeof entry.port === 'number' ? entry.port : target.ports?.[entry.port];
  return first !== undefined && port >= first && port <= (entry.endPort ?? first);
}

function concerns({ metadata, spec }: NetworkPolicy, end: End, type: 'Ingress' | 'Egress'): boolean {
  if (end.namespace === undefined || end.namespace !== metadata?.namespace || !spec) return false;
  return spec.policyTypes?.includes(type) === true && matches(spec.podSelector, end.labels ?? {});
}

/** A peer that is a pod has a namespace; without a `namespaceSelector` it would be one of the policy's own. */
function isPeer({ ipBlock, namespaceSelector, podSelector }: NetworkPolicyPeer, end: End): boolean {
  if (ipBlock) {
    const address = end.ip === undefined ? undefined : parseAddress(end.ip);
    if (!address) return false;
    const within = (cidr: string): boolean => contains(parseCidr(cidr), address);
    return within(ipBlock.cidr) && !(ipBlock.except ?? []).some(within);
  }
  if (end.namespace === undefined || !namespaceSelector) return false;
  return (
    matches(namespaceSelector, { 'kubernetes.io/metadata.name': end.namespace }) &&
    matches(podSelector ?? {}, end.labels ?? {})
  );
}

/** A label selector, as Kubernetes reads it. */
function matches({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      return values.includes(value ?? '') === (operator === 'In');
    })
  );
}

/** What an operator is told by its flags. */

/** Everything that the flags say. */
export type OperatorConfig = {
  /** Default: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config. */
  kubeconfigPath?: string | undefined;
  region: string;
  /** `<node>` stands for the node's name. */
  agentUsernameTemplate: string;
  /** ENIs and EIPs without this tag are not touched; absent: no tag is asked for. */
  requireTag?: { key: string; value: string };
  /** Where the agents' Leases and the operators' own are. */
  namespace: string;
  version: string;
  /** Unique among the replicas; a process that follows a dead one under its name need not wait. Default: host name and UUID. */
  identity?: string | undefined;
  /** Default: kube/elector-machine.ts. */
  election?: { leaseDurationMs?: number; renewDeadlineMs?: number; retryPeriodMs?: number };
  /** Where metrics and health are served; default: port 8080 of every address. Port 0: the kernel chooses. */
  http?: { bindAddress?: string | undefined; port?: number };
};

/** Name of the Lease in the operator's namespace; the chart's Role names it too. */
export const LEADER_LEASE = 'hapair-operator';

/** Pairs handled at the same time; none waits for EC2, each for a write to the API server now and then. */
export const WORKERS = 32;

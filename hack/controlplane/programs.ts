/** The Kubernetes release that go.mod names; its minor decides which kubectl fits. */
export const KUBERNETES_VERSION = '1.36.3';

/** What is built, and from which tool of go.mod. */
export const PROGRAMS = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
} as const;

/** The name of a program of the control plane. */
export type Program = keyof typeof PROGRAMS;

const [major, minor] = KUBERNETES_VERSION.split('.');

/** Without the stamp `/version` says v0.0.0 and the kubeVersion of every chart refuses it. */
const STAMP = {
  gitVersion: `v${KUBERNETES_VERSION}`,
  gitMajor: major,
  gitMinor: minor,
  gitTreeState: 'clean',
};

/** Flags of `go build`; `-mod=readonly` wins over a user's GOFLAGS, so go.sum stays as committed. */
export const BUILD_FLAGS: readonly string[] = [
  '-mod=readonly',
  '-trimpath',
  '-buildvcs=false',
  '-ldflags',
  [
    '-s',
    '-w',
    ...Object.entries(STAMP).map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`),
  ].join(' '),
];

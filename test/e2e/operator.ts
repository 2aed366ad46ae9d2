/** The operator in a test's hands: its log as something to wait on, its permissions as something to take away. */
import * as assert from 'uvu/assert';
import { callAPI } from '../../hack/controlplane/api.ts';
import type { Stage } from '../../hack/demo/stage.ts';
import { within } from '../../hack/lab/handles.ts';
import { eventually, PATIENCE_MS, read } from './support.ts';

/** One line of the operator's log. */
export type Line = {
  msg: string;
  reason?: string;
  /** Of the replica that was elected, or lost. */
  identity?: string;
  node?: string;
  term?: number;
  /** Unix milliseconds at which a new master's report was read. */
  readAt?: number;
  /** Where it listens, said once it has started. */
  port?: number;
};

/** A new master's report was read, of `node` where one is given. */
export const isReportRead =
  (wanted?: string) =>
  ({ reason, readAt, node }: Line): boolean =>
    reason === 'Elected' && readAt !== undefined && (wanted === undefined || node === wanted);

/** A reading of EC2 agrees that `node` has the addresses. */
export const isReadBack =
  (wanted: string) =>
  ({ reason, node }: Line): boolean =>
    reason === 'Converged' && node === wanted;

/** A running operator whose log can be waited on. */
export type Watched = { until(what: string, wanted: (line: Line) => boolean): Promise<Line> };

/** Starts the operator. @throws Error when it runs already. */
export async function startWatched({ product }: Stage): Promise<Watched> {
  const lines: Line[] = [];
  const looks = new Set<() => void>();
  const onLine = (text: string): void => {
    if (!text.startsWith('{')) return;
    lines.push(JSON.parse(text));
    for (const look of looks) look();
  };
  await product.startOperator({}, { onLine });
  return {
    until: async (what, wanted) => {
      const found = Promise.withResolvers<Line>();
      const look = (): void => {
        const line = lines.find(wanted);
        if (line !== undefined) found.resolve(line);
      };
      looks.add(look);
      look();
      return within(found.promise, PATIENCE_MS, what).finally(() => looks.delete(look));
    },
  };
}

/** Takes a permission from the operator until the returned function gives it back; both are in force on return. */
export async function forbid(stage: Stage, resource: string): Promise<() => Promise<void>> {
  const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles/hapair-operator';
  const { kubeconfigPath } = stage.lab;
  const stored = await read<{ rules: { resources: string[]; verbs: string[] }[] }>(stage, role);
  const rules = stored?.rules ?? [];
  const patchVerb = async (changed: typeof rules, allowed: boolean): Promise<void> => {
    const contentType = 'application/merge-patch+json';
    const answer = await callAPI(kubeconfigPath, 'PATCH', role, { body: { rules: changed }, contentType });
    assert.is(answer.status, 200);
    await eventually(`patch of ${resource} should be ${allowed ? 'allowed' : 'forbidden'}`, async () => {
      const isAllowed = await mayPatch(stage, resource);
      return isAllowed === allowed ? true : undefined;
    });
  };
  // A rule must have a verb.
  const without = rules.map((rule) =>
    rule.resources.includes(resource)
      ? { ...rule, verbs: rule.verbs.map((verb) => (verb === 'patch' ? 'get' : verb)) }
      : rule,
  );
  await patchVerb(without, false);
  return () => patchVerb(rules, true);
}

async function mayPatch(stage: Stage, resource: string): Promise<boolean> {
  const [name = '', subresource] = resource.split('/');
  const spec = {
    user: `system:serviceaccount:${stage.product.namespace}:hapair-operator`,
    resourceAttributes: {
      group: 'hapair.io',
      resource: name,
      verb: 'patch',
      namespace: stage.namespace,
      ...(subresource !== undefined && { subresource }),
    },
  };
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
  const reviews = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
  const answer = await callAPI(stage.lab.kubeconfigPath, 'POST', reviews, { body });
  return (answer.body as { status: { allowed: boolean } }).status.allowed;
}

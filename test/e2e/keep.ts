/** A lab left open after its story, for a person to look about in. */
import { once } from 'node:events';
import type { Stage } from '../../hack/demo/stage.ts';

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`);

/** Says how to look about, and waits for Enter. */
export const leaveOpen = async ({ lab, namespace, name }: Stage): Promise<void> => {
  const enter = async (place: string): Promise<string> =>
    (await lab.entrance(place, ['bash'])).map(quoted).join(' ');
  const nodes = lab.vpc.instances.map((instance) => instance.name);
  const lines = [
    `The lab of this story is open; its logs and files: ${lab.dir}`,
    `  export KUBECONFIG=${lab.kubeconfigPath}; kubectl get hap,vrrp -n ${namespace}; kubectl describe hap ${name} -n ${namespace}`,
    `  export AWS_ENDPOINT_URL_EC2=${lab.ec2URL}`,
    ...(await Promise.all(nodes.map(async (node) => `  a shell on ${node}: ${await enter(node)}`))),
    'Enter ends it.',
  ];
  process.stdout.write(`\n${lines.join('\n')}\n`);
  process.stdin.resume();
  await once(process.stdin, 'data');
  process.stdin.pause();
};

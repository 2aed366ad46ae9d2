/** Tokens of ServiceAccounts, as the product's programs use them. */
import { callAPI } from './api.ts';
import { writeKubeconfig, writePrivately } from './kubeconfig.ts';

/**
 * A token of a ServiceAccount by the TokenRequest API, as a kubelet gets one for a pod.
 * @param expirationSeconds default 6 hours; the API server's least is 600
 * @throws Error with the API server's answer when it refuses.
 */
export const createToken = async (
  kubeconfig: string,
  namespace: string,
  serviceAccount: string,
  expirationSeconds = 6 * 60 * 60,
): Promise<string> => {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds } };
  const answer = await callAPI(kubeconfig, 'POST', path, { body });
  const token = (answer.body as { status?: { token?: string } }).status?.token;
  if (answer.status === 201 && token !== undefined) return token;
  throw new Error(
    `No token for ServiceAccount ${namespace}/${serviceAccount}: HTTP ${answer.status} ${JSON.stringify(answer.body)}`,
  );
};

/** Whose kubeconfig is to be written, and where. */
export type ServiceAccountKubeconfig = {
  /** An admin's kubeconfig, for the TokenRequest. */
  adminKubeconfig: string;
  namespace: string;
  serviceAccount: string;
  /** Where to write the kubeconfig; the token lands beside it as `<file>.token`. Both 0600. */
  file: string;
  server: string;
  caFile: string;
  expirationSeconds?: number;
};

/** Writes a kubeconfig with a token file of a ServiceAccount; returns `file`. */
export const writeServiceAccountKubeconfig = async (options: ServiceAccountKubeconfig): Promise<string> => {
  const { adminKubeconfig, namespace, serviceAccount, file, server, caFile, expirationSeconds } = options;
  const tokenFile = `${file}.token`;
  await writePrivately(
    tokenFile,
    await createToken(adminKubeconfig, namespace, serviceAccount, expirationSeconds),
  );
  return writeKubeconfig({ file, server, caFile, credentials: { tokenFile }, user: serviceAccount });
};

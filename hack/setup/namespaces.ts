/** Whether this user may make the lab's namespaces. */
import { tail, tryRun } from './run.ts';

/** The world the lab is made of. */
const WORLD = ['--map-root-user', '--user', '--net', '--mount', '--pid', '--fork', '--kill-child'];

/**
 * Checks that this user may make namespaces of its own.
 * @throws Error that names the way out
 */
export const checkUserNamespaces = async (): Promise<void> => {
  if ((await tryRun('unshare', [...WORLD, 'true'])) !== undefined) return;
  const settings = (await tryRun('sysctl', ['--ignore', ...Object.keys(SWITCHES)])) ?? '';
  throw new Error(
    [
      `The lab lives in namespaces of its own, and this kernel does not let this user make them (unshare ${WORLD.join(' ')} true failed).`,
      'Ways out, as root:',
      ...Object.entries(SWITCHES).map(([key, value]) => `  sysctl -w ${key}=${value}`),
      'or run as root; in a container, run it privileged (docker run --privileged).',
      ...(settings === '' ? [] : [`Now: ${tail(settings).replaceAll('\n', ', ')}`]),
    ].join('\n'),
  );
};

/** What distributions use to forbid it; a kernel has some of them. */
const SWITCHES = {
  'kernel.unprivileged_userns_clone': '1',
  'user.max_user_namespaces': '15000',
  'kernel.apparmor_restrict_unprivileged_userns': '0',
};

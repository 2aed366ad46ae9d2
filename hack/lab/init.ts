/**
 * The world's init: builds the network, then does what the host process asks for over the IPC channel. When the host is
 * gone, however it went, the channel closes, this process ends, and with it the PID namespace and everything in it.
 */
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { createServer, Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { RestartableControlPlane } from '../controlplane/restartable.ts';
import { run } from './fabric.ts';
import { Instances } from './instances.ts';
import { buildNetwork, cutFabric, cutManagement, enterNetwork } from './network.ts';
import { pipe } from './pipe.ts';
import { Processes } from './processes.ts';
import type { FromInit, InitConfig, Operation, Operations, Request } from './rpc.ts';
import { MANAGEMENT } from './vpc.ts';

const { vpc, dir } = JSON.parse(process.env.LAB_WORLD ?? '{}') as InitConfig;
delete process.env.LAB_WORLD;
process.once('disconnect', () => process.exit(0));
// The host's terminal may send these to everybody; the host alone decides when the world ends.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);

const say = (message: FromInit, handle?: Server): void => {
  if (process.connected) process.send?.(message, handle, undefined, () => handle?.close());
};

const instances = new Instances(vpc, dir, () => processes);
const processes: Processes = new Processes(
  (place, argv) => (instances.has(place) ? instances.enter(place, argv) : enterNetwork(place, argv)),
  say,
);

/** A listening socket is handed over beside the answer. */
type Handlers = {
  [K in Operation]: (
    params: Operations[K]['params'],
    server: Server | undefined,
  ) => Promise<Operations[K]['result'] | Server>;
};

/** Turns "nothing to say" into the `null` that JSON carries. */
const done = async (work: unknown): Promise<null> => {
  await work;
  return null;
};

const HANDLERS: Handlers = {
  spawn: (spec) => processes.start(spec),
  kill: ({ handle, signal }) => done(processes.kill(handle, signal)),
  exec: (spec) => processes.exec(spec),
  forward: async ({ host, port }, server) => {
    if (server === undefined) throw new Error('A forward needs a listening socket.');
    server.on('connection', (outside: Socket) => pipe(outside, host, port));
    return null;
  },
  listen: async ({ host, port }) => {
    const server = createServer();
    server.listen(port, host);
    await once(server, 'listening');
    return server;
  },
  boot: ({ node }) => done(instances.boot(node)),
  crash: ({ node }) => done(instances.crash(node)),
  shutdown: ({ node, graceMs }) => done(instances.shutdown(node, graceMs)),
  pause: ({ node }) => done(instances.pause(node)),
  resume: ({ node }) => done(instances.resume(node)),
  setService: ({ node, service }) => done(instances.setService(node, service)),
  startService: ({ node, service }) => instances.startService(node, service),
  killService: ({ node, service, signal }) => done(instances.killService(node, service, signal)),
  instance: async ({ node }) => instances.state(node),
  cut: (cut) => done(cutFabric(vpc, cut, true)),
  heal: (cut) => done(cutFabric(vpc, cut, false)),
  management: ({ node, up }) => done(cutManagement(vpc, node, !up)),
  kube: async ({ binaries }) => {
    const { startRestartableControlPlane } = await import('../controlplane/restartable.ts');
    const { world: bindAddress, kubernetesPort: port } = MANAGEMENT;
    controlPlane = await startRestartableControlPlane({
      dir: join(dir, 'kube'),
      bindAddress,
      port,
      binaries,
    });
    return { kubeconfig: controlPlane.kubeconfig, caFile: controlPlane.caFile };
  },
  kubeconfig: ({ file, server }) => done(running(controlPlane).writeAdminKubeconfig(file, server)),
  program: async ({ program, act }) => done(running(controlPlane)[act](program)),
  data: ({ act }) => done(running(controlPlane)[act === 'copy' ? 'copyData' : 'putBackData']()),
  controllerManager: () => done(running(controlPlane).startControllerManager()),
};

let controlPlane: RestartableControlPlane | undefined;

const running = (plane: RestartableControlPlane | undefined): RestartableControlPlane => {
  if (plane === undefined) throw new Error('This lab has no Kubernetes control plane.');
  return plane;
};

process.on('message', async (request: Request, server: Server | undefined) => {
  const { op, id } = request;
  try {
    const handle = HANDLERS[op] as (params: unknown, server: Server | undefined) => Promise<unknown>;
    const result = await handle(request.params, server);
    if (result instanceof Server) say({ type: 'answer', id, result: null }, result);
    else say({ type: 'answer', id, result });
  } catch (error) {
    say({ type: 'error', id, message: error instanceof Error ? error.message : String(error) });
  }
});

try {
  // `ip netns` keeps its namespaces under /run; the mounts are this world's own.
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run']);
  await run('mount', ['-t', 'proc', 'proc', '/proc']);
  await buildNetwork(vpc);
  say({ type: 'ready', userNamespace: readlinkSync('/proc/self/ns/user') });
} catch (error) {
  say({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
}

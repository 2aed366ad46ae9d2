/** keepalived's ends: the same parameters, its other settings as they come. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../setup/run.ts';
import { type Contender, type EndOrder, PASSWORD } from './contender.ts';
import { killTree, startProgram } from './program.ts';

/** As hapair's worker asks for. */
const REALTIME_PRIORITY = 50;

/** keepalived.conf of one end. Both ends start as BACKUP: only so does it keep to nopreempt. */
export const keepalivedConf = ({ site, place, timing, priority, realtime }: EndOrder): string => {
  const { address, peerAddress, namespace } = site.ends[place];
  const lines = [
    'global_defs {',
    `    router_id ${namespace}`,
    `    vrrp_version ${timing.version}`,
    ...(realtime ? [`    vrrp_rt_priority ${REALTIME_PRIORITY}`] : []),
    '}',
    '',
    'vrrp_instance bench {',
    '    state BACKUP',
    '    interface eth0',
    `    virtual_router_id ${site.virtualRouterID}`,
    `    priority ${priority}`,
    '    nopreempt',
    `    advert_int ${timing.advertisementIntervalMs / 1000}`,
    ...(timing.version === 2
      ? ['    authentication {', '        auth_type PASS', `        auth_pass ${PASSWORD}`, '    }']
      : []),
    '    virtual_ipaddress {',
    `        ${site.vip}/32 dev eth0`,
    '    }',
    `    unicast_src_ip ${address}`,
    '    unicast_peer {',
    `        ${peerAddress}`,
    '    }',
    '}',
  ];
  return `${lines.join('\n')}\n`;
};

/**
 * @param program its path. @param dir for configurations and logs.
 * @throws Error when it does not say its version.
 */
export const createKeepalived = async (program: string, dir: string): Promise<Contender> => {
  const { stdout, stderr } = await run(program, ['--version']);
  const version = /Keepalived v\S+/.exec(stderr + stdout)?.[0];
  if (version === undefined) throw new Error(`${program} --version names no version.`);
  return {
    name: 'keepalived',
    version,
    start: async (order) => {
      const { namespace } = order.site.ends[order.place];
      const file = (suffix: string): string => join(dir, `${namespace}-${suffix}`);
      writeFileSync(file('keepalived.conf'), keepalivedConf(order), { mode: 0o600 });
      const pidFiles = [file('keepalived.pid'), file('vrrp.pid')] as const;
      // A crash leaves them, and the PIDs in them are somebody else's by now.
      for (const pidFile of pidFiles) rmSync(pidFile, { force: true });
      const end = startProgram({
        name: `keepalived of ${namespace}`,
        namespace,
        argv: [
          ...[program, '--dont-fork', '--log-console', '--vrrp', '--use-file', file('keepalived.conf')],
          ...['--pid', pidFiles[0], '--vrrp_pid', pidFiles[1]],
        ],
        logFile: file('keepalived.log'),
      });
      await end.says(/Entering BACKUP STATE/);
      const { pid, hasEnded, ended } = end;
      return { pid, hasEnded, ended, crash: () => killTree(pid), stop: () => end.kill('SIGTERM') };
    },
  };
};

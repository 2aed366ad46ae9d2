/** What keepalived reads and says: its configuration, and its log as far as it tells states. */
import type { EndConfig, Word } from './end.ts';

/** Who an end is. */
export type Identity = { name: string; source: string; peer: string; vip: string };

/** keepalived.conf of one end. `script_user` names the one user that namespaces made without root have. */
export function keepalivedConf({ name, source, peer, vip }: Identity, config: EndConfig): string {
  const { version, intervalMs, priority, password, virtualRouterID = 51, moreVIPs = [] } = config;
  const authentication =
    password === undefined
      ? ''
      : `    authentication {
        auth_type PASS
        auth_pass ${password}
    }
`;
  return `global_defs {
    router_id ${name}
    script_user root
}

vrrp_instance VI_1 {
    version ${version}
    state ${config.startsAsMaster === true ? 'MASTER' : 'BACKUP'}
    interface eth0
    virtual_router_id ${virtualRouterID}
    priority ${priority}
    ${config.preempt === true ? '' : 'nopreempt'}
    advert_int ${intervalMs / 1000}
${authentication}    virtual_ipaddress {
${[vip, ...moreVIPs].map((each) => `        ${each} dev eth0\n`).join('')}    }
    unicast_src_ip ${source}
    unicast_peer {
        ${peer}
    }
}
`;
}

const STATES: Record<string, Word> = { BACKUP: 'Backup', MASTER: 'Master', FAULT: 'Fault' };

/** The state that a line of its log says it enters. */
export const wordOf = (line: string): Word | undefined =>
  STATES[/\(VI_1\) Entering (\w+) STATE/.exec(line)?.[1] ?? ''];

/** Resignations that it has received, by the statistics it writes; undefined: it has not written them yet. */
export const resignationsIn = (statistics: string): number | undefined => {
  const found = /Priority Zero:\s+Received: (\d+)/.exec(statistics)?.[1];
  return found === undefined ? undefined : Number(found);
};

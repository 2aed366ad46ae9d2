/**
 * The recipe's files, written for the lab after "Hot Standby HA Architecture Pattern on AWS EC2" (2017): the same
 * keepalived options, the same three calls in the same order, the metadata by curl. Two things differ because they must:
 * IMDS wants a token by now (version 2), and the `aws` command is told where EC2 answers. Pure.
 */
import type { LabInstance } from '../../lab/types.ts';
import { IMDS_ADDRESS } from '../../lab/vpc.ts';
import type { Pair } from './harness.ts';

/** One of the pair as keepalived knows it. */
export type Role = { state: 'MASTER' | 'BACKUP'; priority: number; notifyMaster?: string };

/** VRRP's password, eight characters at most. */
const PASSWORD = 'standby';
const VIRTUAL_ROUTER_ID = 20;

/** keepalived.conf of one node. `script_user` names the one user that the lab's namespaces have. */
export const keepalivedConf = (pair: Pair, own: LabInstance, peer: LabInstance, role: Role): string => {
  const notify = role.notifyMaster === undefined ? '' : `    notify_master "${role.notifyMaster}"\n`;
  return `global_defs {
    router_id ${own.name}
    script_user root
}

vrrp_instance VI_0 {
    state ${role.state}
    interface eth0
    virtual_router_id ${VIRTUAL_ROUTER_ID}
    priority ${role.priority}
    nopreempt
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass ${PASSWORD}
    }
    virtual_ipaddress {
        ${pair.vip} dev eth0
    }
    unicast_src_ip ${own.address}
    unicast_peer {
        ${peer.address}
    }
${notify}}
`;
};

/**
 * failover.sh, and with the ENIs exchanged failback.sh.
 * @param command `aws … ec2` as it is called here
 * @param log file that gets what the commands say
 */
export const moveScript = (
  pair: Pair,
  move: { from: LabInstance; to: LabInstance },
  command: string,
  log: string,
): string => `#!/bin/bash
exec >> '${log}' 2>&1
VIP=${pair.vip}
ALLOCATION_ID=${pair.allocationID}
FROM=${move.from.networkInterfaceID}
TO=${move.to.networkInterfaceID}

METADATA=http://${IMDS_ADDRESS}/latest
TOKEN=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $METADATA/api/token)
metadata() { curl -s -H "X-aws-ec2-metadata-token: $TOKEN" "$METADATA/meta-data/$1"; }
INSTANCE_ID=$(metadata instance-id)
AWS_DEFAULT_REGION=$(metadata placement/availability-zone | rev | cut -c 2- | rev)
export INSTANCE_ID AWS_DEFAULT_REGION

EC2="${command}"
$EC2 unassign-private-ip-addresses --private-ip-addresses $VIP --network-interface-id $FROM
$EC2 assign-private-ip-addresses --private-ip-addresses $VIP --network-interface-id $TO --allow-reassignment
$EC2 associate-address --allocation-id $ALLOCATION_ID --network-interface-id $TO --private-ip-address $VIP
`;

/** Calls of EC2 that one run of a script makes, whatever becomes of each. */
export const CALLS_PER_SCRIPT = 3;

/**
 * Every condition type and every reason word, those of the API in one table, those of log lines alone in another. A reason
 * names one cause; the same word stands in conditions, Events, metrics, logs, `status.history` and `status.failback`.
 */

/** Condition types of a HAPair; `status.conditions` lists those that are not good in this order, then the others. */
export const HAPAIR_CONDITIONS = [
  'Ready',
  'Redundant',
  'Accepted',
  'MasterElected',
  'AgentsReady',
  'AddressesConverged',
  'PreflightPassed',
  'PreferredNodeActive',
  'SplitBrain',
  'Paused',
  'Pinned',
] as const;
export type HAPairConditionType = (typeof HAPAIR_CONDITIONS)[number];

/**
 * The status of a condition that leaves nothing to mend. Conditions that have another one come first in `status.conditions`;
 * those without an entry only inform.
 */
export const GOOD_STATUS: Partial<Record<HAPairConditionType, 'True' | 'False'>> = {
  Ready: 'True',
  Redundant: 'True',
  Accepted: 'True',
  MasterElected: 'True',
  AgentsReady: 'True',
  AddressesConverged: 'True',
  PreflightPassed: 'True',
  SplitBrain: 'False',
  Paused: 'False',
};

/** Condition types of a VRRPInstance, in the order in which `status.conditions` lists them. */
export const INSTANCE_CONDITIONS = ['Ready', 'PeerHeard', 'Healthy', 'SecretResolved'] as const;

/** Reason words, with the sentence that explains each in documentation. */
export const REASONS = {
  // Ready
  Serving: 'The elected master holds all addresses.',
  NotAccepted: 'The spec is not accepted; an earlier accepted spec, if any, goes on.',
  NoMaster: 'No agent reports Master; the addresses stay where they are.',
  NotConverged: 'EC2 delivers an address somewhere else than to the elected master.',
  NotFollowed: 'No operator leads: EC2 follows no failover, and the rest of the status is from before.',
  Unobserved: 'Not known yet.',
  Deleting: 'The HAPair is being deleted.',
  // Redundant
  StandbyReady: 'The standby is a live, healthy Backup.',
  StandbyMissing: 'The standby has not reported.',
  StandbySilent: 'The standby shows no sign of life.',
  StandbyUnheard: 'The master before has not answered the election of the present one, and may be dead.',
  StandbyNotBackup: 'The standby is in another state than Backup, or not healthy.',
  // Accepted
  Accepted: 'The spec is in force.',
  Invalid: 'The stored spec breaks a rule of the API.',
  AddressConflict: 'Another HAPair names the same VIP, EIP, or ENI and VRID.',
  NotPermitted: 'The operator may not touch a named ENI or EIP.',
  // MasterElected
  Elected: 'One report of Master has the highest term.',
  WaitingForElection: 'No agent has reported Master yet.',
  NodeChangeWaits: 'A changed node holds the addresses; the change waits until the other node holds them.',
  ParametersChanging: 'VRRP parameters change in steps that both agents acknowledge.',
  FieldConflict: 'Somebody else owns a field that the operator writes.',
  // AgentsReady
  AgentsReporting: 'Both agents report and show signs of life.',
  AgentMissing: 'An agent has not reported yet.',
  AgentSilent: 'An agent shows no sign of life.',
  // AddressesConverged
  Converged: 'EC2 was read and delivers every address to the elected master.',
  Moving: 'A call that moves addresses is under way.',
  WaitingForRead: 'EC2 has not been read yet.',
  AddressElsewhere: 'EC2 delivers an address to another interface.',
  AddressHeldElsewhere:
    'An address that the pair never had is held by a network interface that is none of its own.',
  AddressUnassigned: 'EC2 delivers an address nowhere.',
  HeldDown: 'The pair flaps; the addresses stay with an incumbent that proves itself alive.',
  WaitingForAgent: 'A VIP waits until the agent of the master has it on its interface.',
  WaitingForBudget: 'A call waits for its turn in the call budget of the account.',
  Releasing: 'Addresses that are no longer wanted are being taken off their ENIs.',
  EC2ReadFailed: 'EC2 could not be read; nothing is concluded from that.',
  EC2Throttled: 'EC2 limits the rate of calls.',
  EC2Unavailable: 'EC2 answers with an error of its own side.',
  EC2TimedOut: 'EC2 did not answer in time; the call may have worked.',
  EC2CredentialsInvalid: 'EC2 does not accept the credentials, or none could be had.',
  EC2Unauthorized: 'The credentials do not permit the call.',
  EC2TargetMissing: 'EC2 does not know an ENI or instance.',
  EC2AllocationMissing: 'EC2 does not know the EIP allocation.',
  EC2AddressInUse: 'EC2 says the address is held elsewhere.',
  EC2QuotaExceeded: 'The ENI has no room for one more address.',
  EC2StateConflict: 'The instance, ENI or gateway is in a state that forbids the call.',
  EC2Rejected: 'EC2 rejects a parameter of the call.',
  EC2Unreachable: 'No connection to EC2.',
  // PreflightPassed
  PreflightPassed: 'Every check that can be made ahead of a failover passes.',
  PreflightFailed: 'A check made ahead of a failover fails: the next failover would not work, or not fully.',
  NotChecked: 'EC2 has not been asked yet.',
  // PreferredNodeActive
  PreferredNodeIsMaster: 'The preferred node is master.',
  PreferredNodeIsStandby: 'The preferred node is not master; an order is needed to move there.',
  NoPreference: 'No preferred node is named.',
  // SplitBrain
  OneMaster: 'At most one live agent reports Master.',
  TwoMasters: 'A superseded Master still shows signs of life.',
  // Paused, Pinned
  NotPaused: 'The operator writes to EC2.',
  PausedBySpec: 'spec.paused is set; no EC2 write is made.',
  NotPinned: 'No node is pinned.',
  PinnedBySpec: 'spec.pinnedNode is set.',
  PinWithheld: 'spec.paused holds a pin back.',
  PinnedNodeDead: 'The pinned node does not serve and is not left by itself.',
  // Switches and orders (Events, history, status.failback)
  FirstElection: 'The first master of the pair was elected.',
  Failover: 'Another node was elected without an order.',
  SwitchoverRequested: 'An order to switch to the preferred node is in progress.',
  SwitchoverCompleted: 'An ordered switch ended with the preferred node as master.',
  SwitchoverFailed: 'An ordered switch ended with another node as master.',
  AutomaticFailback:
    'The preferred node has been healthy for the time that the policy asks for, and takes over.',
  WaitingForDelay: 'An automatic failback waits until the preferred node has been healthy for long enough.',
  AlreadyMaster: 'The target of an order was master already.',
  WaitingForTarget: 'An order waits until its target is a healthy Backup with a fresh sign of life.',
  OrderIgnored: 'An order is older than the last one handled, or than the object.',
  Recorded: 'The first sight of a pair records its wishes and orders nothing.',
  Expired: 'An order could not be carried out before its deadline.',
  Pinned: 'An order was consumed because a node is pinned.',
  DriftRepaired: 'An address was not where it belongs and was moved back.',
  DriftFound: 'An address is not where it belongs.',
  AddressesMoved: 'EC2 accepted the call that moves addresses.',
  AddressReleased: 'A dropped address was given up.',
  LeaderElected: 'This process leads and makes the writes.',
  LeaderLost: 'This process no longer leads and makes no write.',
  Deleted: 'The HAPair is gone; its addresses were left or released as its policy says.',
  // VRRPInstance
  InstanceConfigured: 'The agent runs the spec.',
  InstanceFaulty: 'The agent cannot run the spec.',
  NotSupportedYet: 'The spec asks for something that this version of the agent does not build.',
  BeyondLimits: 'The pair would cost the node more than its owner allows; the spec before, if any, goes on.',
  InterfaceMissing: 'No interface carries the source address.',
  NetworkInterfaceMismatch: 'IMDS does not show the ENI on this instance.',
  AddressRefused: 'A VIP lies outside the subnet, or is the gateway or a name server.',
  PeerHeard: 'Adverts of the peer arrive.',
  PeerSilent: 'No advert of the peer arrives.',
  PeerMisconfigured: 'The peer sends adverts that are rejected: a parameter differs.',
  PeerNotExpected: 'A Master hears no adverts of its Backup.',
  NoChecks: 'No health checks are configured.',
  ChecksPassed: 'All health checks pass.',
  ChecksFailed: 'A health check fails.',
  SecretNotNeeded: 'No password is configured.',
  SecretRead: 'The password was read.',
  SecretUnreadable: 'The password could not be read.',
  // Causes of a change of VRRP state
  MasterDownTimerExpired: 'No advert arrived for the master-down interval.',
  MasterResigned: 'The master resigned by priority 0.',
  HigherPriorityAdvert: 'A master with higher priority, or equal priority and higher address, was heard.',
  YieldOrdered: 'The operator asked this term to yield.',
  LastResort: 'An unhealthy node claims, because its peer is silent and shows no sign of life.',
  AgentStopping: 'The agent was asked to stop.',
  AgentStarted: 'The agent started.',
  ClaimedByHand: 'A person claimed on the node while the API server was away.',
  AgentReloaded: 'The agent was replaced in place and goes on in its term.',
  SourceAddressMissing: 'The source address or its link is missing.',
  Overslept: 'The process was not scheduled past its own deadline.',
  Unconfigured: 'The instance has no spec any more.',
} as const;

/** A reason word of the table. */
export type Reason = keyof typeof REASONS;

/** Reason words of log lines that tell what no condition and no Event does, with the sentence that explains each in documentation. */
export const LOG_REASONS = {
  // A program's life
  OperatorStarted: 'The operator runs; it leads once `LeaderElected` is logged.',
  OperatorStopping: 'The operator was asked to stop.',
  OperatorFailed: 'The operator ends by an error that nothing handles.',
  AgentStopped: 'The agent has given up its addresses and reported.',
  AgentFailed: 'The agent ends by an error.',
  ReloadRefused: 'The program cannot be replaced in place; the agent goes on as it was.',
  // The API server
  APIServerUnavailable: 'The API server does not answer; the agent goes on from its disk.',
  APIServerUnauthorized: 'The API server does not accept the credential; the agent goes on from its disk.',
  APIServerAvailable: 'The API server answers again.',
  WatchLost: 'A watch has ended with an error and is tried again.',
  WatchRecovered: 'A watch works again.',
  WatchHandlerFailed: 'A handler of a changed object has thrown: a fault of the program.',
  LeaseNotRenewed: 'A Lease could not be read or renewed; it is tried again.',
  SlowWrites: 'A write of the Lease takes so long that leadership may be lost; an admission webhook, mostly.',
  LeaseNotReleased: 'An EC2 call is still unanswered: the Lease is left to run out.',
  LeaseHeldElsewhere: 'Another agent holds the Lease of this node; this one waits.',
  EventNotWritten: 'An Event was given up.',
  EventsDropped: 'More Events wait than can be written; the oldest are given up.',
  StepFailed: 'A step for a pair has failed and is tried again.',
  // A node's claim, VIPs and report
  ClaimSettled: 'A new master has listened, and nobody has objected.',
  TermTaken: 'A new master has numbered its claim, and reported it.',
  VIPAdded: 'A VIP was put on the interface.',
  VIPRemoved: 'A VIP was taken off the interface.',
  VIPFound: 'A VIP is on the interface that only an agent before this one can have put there.',
  VIPLeft: 'A VIP of a former pair is somebody else’s now, and stays.',
  ReportSent: 'The API server has the newest report.',
  ReportOverwritten: 'Somebody else has written this node’s report; it is written again.',
  TermRefused:
    'The highest term on this node’s disk is beyond what the API server takes in a report; the agent counts on from what is stored.',
  RecordNotStored: 'What a pair remembers is not on disk; it goes on without.',
  PacketRejected: 'A packet of protocol 112 was rejected, for the cause named.',
  PeerCorrected: 'The peer sends nothing any more that must be rejected.',
  // EC2 and the machine
  EC2ReadRecovered: 'EC2 can be read again.',
  CredentialsNotRenewed: 'Credentials for EC2 cannot be renewed; those at hand are used until they end.',
  IMDSReadFailed: 'IMDS does not answer; nothing is concluded from that.',
  IMDSReadRecovered: 'IMDS answers again.',
  InterfacesUnreadable: 'The interfaces could not be read; it is tried again.',
  InterfaceMonitorFailed: '`ip monitor` does not run; the interfaces are read by time alone until it does.',
  InterfaceChangeDenied: 'The agent lacks the capability to change addresses.',
  // The state directory
  StateDirectoryReadOnly: 'The state directory cannot be written.',
  StateFileUnreadable: 'A state file cannot be used; the pair starts from the API server alone.',
  StateFileExposed: 'A state file was readable by others.',
  IdentityNotStored:
    'The identity of the agent is not on disk: its next start waits for the Lease to run out.',
  // What is served
  MetricsServed: 'Metrics and health are served.',
  MetricsNotServed: 'The port of metrics and health cannot be had; it is tried again.',
  HTTPRequestFailed: 'A request for metrics or health could not be answered.',
  HTTPServerFailed: 'The server of metrics and health has failed.',
  LocalRequestFailed: 'A request on the local socket could not be answered.',
  LocalSocketFailed: 'The local socket does not work: neither do status, claim and reload.',
} as const;

/** The reason of a log line. */
export type LogReason = Reason | keyof typeof LOG_REASONS;

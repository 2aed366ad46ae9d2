/** What every command of `hapair-agent` shares: its words, its exit codes, its way to say no. */

/** Where a package puts the configuration. */
export const DEFAULT_CONFIG = '/etc/hapair/agent.yaml';

/** As every command ends. */
export const EXIT = {
  done: 0,
  /** Refused, or failed; why is said on the standard error. */
  failed: 1,
  /** The command line or the configuration file is wrong. */
  usage: 2,
  /** The agent does not run. */
  notRunning: 3,
} as const;

export const USAGE = `usage: hapair-agent COMMAND [--config FILE]

  run          runs the agent until SIGTERM; the command may be left out
  status       what the running agent knows, without the API server; of one that does not run, what its disk holds.
               -o json for programs
  reload       replaces the running agent in place by its program and configuration as they are on disk now; a Master
               stays Master. SIGHUP does the same
  claim PAIR   makes this node Master of NAMESPACE/PAIR by hand, while the API server is away
  check        whether the agent could start with the configuration

  --config     default ${DEFAULT_CONFIG}

exit codes: 0 done; 1 refused or failed; 2 the command line or the configuration is wrong; 3 the agent does not run`;

/** Ends the process with a sentence for people, no stack trace. */
export const refuse = (code: number, message: string): never => {
  process.stderr.write(`hapair-agent: ${message}\n`);
  process.exit(code);
};

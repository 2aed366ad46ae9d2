/** The configuration as every command reads it. */

import { messageOf } from '../../runtime/error-text.ts';
import { type AgentConfig, ConfigError, loadConfig } from '../config.ts';
import { controlPath } from '../control.ts';
import { EXIT, refuse } from './usage.ts';

/** A configuration that an agent can start with, and where its socket is; with any other the process ends. */
export const readConfig = (path: string): { config: AgentConfig; socket: string } => {
  try {
    const config = loadConfig(path);
    return { config, socket: controlPath(config.stateDir) };
  } catch (error) {
    const message = messageOf(error);
    return refuse(EXIT.usage, error instanceof ConfigError ? message : `${path}: ${message}`);
  }
};

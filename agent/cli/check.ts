/** `hapair-agent check`: whether the agent could start with its configuration. A reload asks it of the new program. */
import packageJSON from '../../package.json' with { type: 'json' };
import type { CheckedConfig } from '../reload/reloader.ts';
import { readConfig } from './config.ts';

/** Says yes; with a configuration that is wrong, or a program that lacks something, the process ends with a failure. */
export const check = async (configPath: string, asJSON: boolean): Promise<void> => {
  const { nodeName, stateDir, namespaces } = readConfig(configPath).config;
  // All that a run needs is there and can be loaded.
  await Promise.all([import('./serve.ts'), import('../worker/virtual-routers.ts')]);
  const { version } = packageJSON;
  const said = asJSON
    ? JSON.stringify({ version, nodeName, stateDir, namespaces } satisfies CheckedConfig)
    : `${configPath}: hapair-agent ${version} can start as ${nodeName}`;
  process.stdout.write(`${said}\n`);
};

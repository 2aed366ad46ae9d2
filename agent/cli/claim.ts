/** `hapair-agent claim PAIR`. */

import { messageOf } from '../../runtime/error-text.ts';
import type { ClaimAnswer } from '../control.ts';
import { ask, NotRunning } from './ask.ts';
import { readConfig } from './config.ts';
import { EXIT } from './usage.ts';

/** The agent asks the API server first, and an API server that is away may take its time not to answer. */
const CLAIM_MS = 15_000;

/** @returns the exit code */
export const claim = async (configPath: string, pair: string): Promise<number> => {
  const { config, socket } = readConfig(configPath);
  try {
    const target = `POST /v1/claim?pair=${encodeURIComponent(pair)}`;
    const answer = await ask<ClaimAnswer>(socket, target, CLAIM_MS);
    if (answer.refused !== null) {
      process.stderr.write(`hapair-agent: claim ${answer.pair}: refused: ${answer.refused}\n`);
      return EXIT.failed;
    }
    process.stdout.write(
      `${config.nodeName} is Master of ${answer.pair}; EC2 delivers here once the operator has read it from the API server\n`,
    );
    return EXIT.done;
  } catch (error) {
    const message = messageOf(error);
    process.stderr.write(`hapair-agent: claim ${pair}: ${message}\n`);
    return error instanceof NotRunning ? EXIT.notRunning : EXIT.failed;
  }
};

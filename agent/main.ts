/** `hapair-agent`: the command line. A run loads as little as it can before its Masters go on; see cli/run.ts. */
import { parseArgs } from 'node:util';
import { messageOf } from '../runtime/error-text.ts';
import { DEFAULT_CONFIG, EXIT, refuse, USAGE } from './cli/usage.ts';

const parse = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        config: { type: 'string', default: DEFAULT_CONFIG },
        output: { type: 'string', short: 'o' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return refuse(EXIT.usage, `${messageOf(error)}\n${USAGE}`);
  }
};

const { values, positionals } = parse();
const { config, output, help } = values;
const [command = process.argv.length > 2 ? 'run' : '', ...operands] = positionals;
const wanted = command === 'claim' ? 1 : 0;
if (help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(EXIT.done);
}
if (operands.length !== wanted || (output !== undefined && output !== 'json')) refuse(EXIT.usage, USAGE);

switch (command) {
  case 'run':
    await (await import('./cli/run.ts')).run(config);
    break;
  case 'check':
    await (await import('./cli/check.ts')).check(config, output === 'json');
    break;
  case 'status':
    process.exitCode = await (await import('./cli/status.ts')).status(config, output === 'json');
    break;
  case 'claim':
    process.exitCode = await (await import('./cli/claim.ts')).claim(config, operands[0] ?? '');
    break;
  case 'reload':
    process.exitCode = await (await import('./cli/reload.ts')).reload(config);
    break;
  default:
    refuse(EXIT.usage, USAGE);
}

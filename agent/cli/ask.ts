/** Asks the running agent by its local socket. */
import { request } from 'node:http';

/** No answer of the agent is longer. */
const ANSWER_BYTES = 16 * 1024 * 1024;

/** Nobody listens: the agent does not run. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning';
}

/**
 * One request; the answer as the agent's types of control.ts have it.
 * @param target such as `GET /v1/status`
 * @throws NotRunning when nobody listens. @throws Error that says what to do, also when no answer comes in time
 */
export const ask = <T>(socketPath: string, target: string, deadlineMs: number): Promise<T> =>
  new Promise((resolve, reject) => {
    const [method = '', path = ''] = target.split(' ');
    const signal = AbortSignal.timeout(deadlineMs);
    const outgoing = request({ socketPath, method, path, signal, agent: false }, (incoming) => {
      let body = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > ANSWER_BYTES) incoming.destroy(new Error(`an answer above ${ANSWER_BYTES} bytes`));
      });
      incoming.on('error', (error) => reject(explain(error, socketPath, deadlineMs)));
      incoming.on('end', () => {
        try {
          const answer: T & { error?: string } = JSON.parse(body);
          if (answer.error === undefined) resolve(answer);
          else reject(new Error(`the agent says: ${answer.error}`));
        } catch (error) {
          reject(new Error(`the answer of ${socketPath} is not the agent's`, { cause: error }));
        }
      });
    });
    outgoing.on('error', (error) => reject(explain(error, socketPath, deadlineMs)));
    outgoing.end();
  });

/** Errors of a socket that nobody listens on, or that is not there. */
const NOBODY = ['ENOENT', 'ECONNREFUSED'];

const explain = (error: NodeJS.ErrnoException, socketPath: string, deadlineMs: number): Error => {
  if (NOBODY.includes(error.code ?? '')) return new NotRunning(`nobody listens on ${socketPath}`);
  if (error.code === 'EACCES')
    return new Error(`${socketPath} is not open to this user; run this as the agent's user, or as root`);
  const late = error.name === 'TimeoutError' || error.code === 'ABORT_ERR';
  const why = late ? `no answer within ${deadlineMs} ms; is the process stopped?` : error.message;
  return new Error(`ask the agent on ${socketPath}: ${why}`, { cause: error });
};

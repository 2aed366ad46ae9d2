import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { API } from './api.ts';

const object = (name: string, resourceVersion: string) => ({ metadata: { name, resourceVersion } });
const line = (type: string, of: unknown): string => `${JSON.stringify({ type, object: of })}\n`;

test('a watch that is cut goes on where it was, and begins anew only if that is gone', async () => {
  const asked: string[] = [];
  const answers: ((response: ServerResponse) => void)[] = [
    (response) =>
      response.end(
        JSON.stringify({ metadata: { resourceVersion: '5', continue: 'c' }, items: [object('a', '1')] }),
      ),
    (response) =>
      response.end(JSON.stringify({ metadata: { resourceVersion: '5' }, items: [object('b', '2')] })),
    (response) => response.end(line('MODIFIED', object('a', '6')) + line('BOOKMARK', object('', '9'))),
    (response) => response.end(line('ERROR', { code: 410 })),
    (response) =>
      response.end(JSON.stringify({ metadata: { resourceVersion: '20' }, items: [object('c', '20')] })),
    (response) => response.write(line('ADDED', object('d', '21'))),
  ];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { searchParams } = new URL(request.url ?? '', 'http://server');
    const kind = searchParams.has('watch') ? 'watch' : 'list';
    asked.push(`${kind} ${searchParams.get('resourceVersion') ?? searchParams.get('continue') ?? ''}`.trim());
    answers.shift()?.(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const api = new API({ server: `http://127.0.0.1:${port}`, ca: Buffer.from('') });
  try {
    const seen: string[] = [];
    await new Promise<void>((resolve) =>
      api.watch('/apis/x/v1/things', undefined, ({ type, object: of }) => {
        const { name } = (of as ReturnType<typeof object>).metadata;
        seen.push(`${type} ${name}`);
        if (name === 'd') resolve();
      }),
    );
    assert.equal(seen, ['ADDED a', 'ADDED b', 'MODIFIED a', 'ADDED c', 'ADDED d']);
    assert.equal(asked, ['list', 'list c', 'watch 5', 'watch 9', 'list', 'watch 20']);
  } finally {
    await api.close();
    server.closeAllConnections();
    server.close();
  }
});

test.run();

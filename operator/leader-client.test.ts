import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KubeError } from '../kube/errors.ts';
import type { KubeObject, Resource } from '../kube/types.ts';
import { counted, guarded, isNotLeading, type Writes } from './leader-client.ts';

const THINGS: Resource = { group: 'example.io', version: 'v1', plural: 'things', kind: 'Thing' };
const thing: KubeObject = { metadata: { name: 'a', namespace: 'prod' } };
const how = { fieldManager: 'test' };

/** A client that notes what reaches it. */
const recording = () => {
  const sent: string[] = [];
  const note = <T>(what: string, answer: T): Promise<T> => {
    sent.push(what);
    return Promise.resolve(answer);
  };
  const client: Writes = {
    create: (_, object) => note('create', object),
    replace: (_, object) => note('replace', object),
    apply: (_, object) => note('apply', object),
    patch: <T extends KubeObject>() => note('patch', thing as T),
    delete: () => note('delete', undefined),
  };
  return { sent, client };
};

const every = (client: Writes): Promise<unknown>[] => [
  client.create(THINGS, thing),
  client.replace(THINGS, thing),
  client.apply(THINGS, thing, how),
  client.patch(THINGS, 'prod/a', []),
  client.delete(THINGS, 'prod/a'),
];

test('who leads writes; who does not sends nothing, and is told why', async () => {
  const { sent, client } = recording();
  let leads = true;
  const guardedClient = guarded(client, () => leads);
  await Promise.all(every(guardedClient));
  assert.is(sent.length, 5);
  leads = false;
  const ends = await Promise.allSettled(every(guardedClient));
  assert.ok(ends.every((end) => end.status === 'rejected' && isNotLeading(end.reason)));
  assert.is(sent.length, 5);
});

test('each write is counted by kind, subresource and result', async () => {
  const { client } = recording();
  const seen: string[] = [];
  const refuse = () => Promise.reject(new KubeError('no', { kind: 'Conflict' }));
  const note = (kind: string, result: string): void => void seen.push(`${kind} ${result}`);
  await Promise.all(every(counted(client, note)));
  assert.equal(seen, Array(5).fill('Thing Success'));
  seen.length = 0;
  const failing = counted({ ...client, apply: refuse }, note);
  const end = await failing.apply(THINGS, thing, { ...how, subresource: 'status' }).catch((error) => error);
  assert.ok(end instanceof KubeError, 'the caller sees the error');
  assert.equal(seen, ['Thing/status Conflict']);
});

test.run();

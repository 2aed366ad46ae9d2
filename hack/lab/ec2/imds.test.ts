import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { STANDARD_VPC } from '../vpc.ts';
import { IMDS } from './imds.ts';
import { Moods } from './moods.ts';
import { initialState, mappingOf } from './state.ts';

const SOURCE = '10.10.10.11';
const PATH = '/latest/meta-data/instance-id';

const service = (): IMDS =>
  new IMDS(() => ({ vpc: STANDARD_VPC, mapping: mappingOf(initialState(STANDARD_VPC)) }));

const token = (imds: IMDS, atMs: number, seconds = '60'): string => {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': seconds };
  return imds.answer({ source: SOURCE, method: 'PUT', path: '/latest/api/token', headers }, atMs).body;
};

const read = (imds: IMDS, given: string, atMs: number): number =>
  imds.answer(
    { source: SOURCE, method: 'GET', path: PATH, headers: { 'x-aws-ec2-metadata-token': given } },
    atMs,
  ).status;

test('a token lives as long as it was asked to', () => {
  const imds = service();
  const given = token(imds, 0);
  assert.is(read(imds, given, 59_999), 200);
  assert.is(read(imds, given, 60_000), 401);
});

test('a request that came through a proxy gets no token', () => {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '60', 'x-forwarded-for': '192.0.2.1' };
  assert.is(
    service().answer({ source: SOURCE, method: 'PUT', path: '/latest/api/token', headers }, 0).status,
    403,
  );
});

test('who has no address of an instance gets nothing', () => {
  const stranger = { source: '10.10.10.99', method: 'GET', path: PATH, headers: {} };
  assert.is(service().answer(stranger, 0).status, 404);
});

const LIST = `/latest/meta-data/network/interfaces/macs/0a:10:10:10:10:11/local-ipv4s`;

test('its list may be an old one, or say what is not true', () => {
  const moods = new Moods();
  const routes = new Map([
    [SOURCE, 'eni-0aaaaaaaaaaaaaaa1'],
    ['10.10.10.10', 'eni-0aaaaaaaaaaaaaaa1'],
  ]);
  const mapping = { routes, nat: new Map<string, string>() };
  const imds = new IMDS(() => ({ vpc: STANDARD_VPC, mapping, moods }));
  const headers = { 'x-aws-ec2-metadata-token': token(imds, 0) };
  const listed = (): string => imds.answer({ source: SOURCE, method: 'GET', path: LIST, headers }, 0).body;
  moods.set('node1', { is: 'frozen' }, mapping);
  routes.set('10.10.10.10', 'eni-0bbbbbbbbbbbbbbb2');
  assert.is(listed(), `${SOURCE}\n10.10.10.10`);
  moods.set('node1', { is: 'well' }, mapping);
  assert.is(listed(), SOURCE);
  moods.set('node1', { is: 'listing', addresses: ['10.10.10.20'] }, mapping);
  assert.is(listed(), `${SOURCE}\n10.10.10.20`);
});

test('every directory leads to values', () => {
  const imds = service();
  const headers = { 'x-aws-ec2-metadata-token': token(imds, 0) };
  const walk = (at: string): number => {
    const { status, body } = imds.answer({ source: SOURCE, method: 'GET', path: at, headers }, 0);
    assert.is(status, 200, at);
    const entries = at.endsWith('/') ? body.split('\n') : [];
    return 1 + entries.reduce((sum, entry) => sum + walk(`${at}${entry}`), 0);
  };
  assert.ok(walk('/latest/meta-data/') > 15);
});

test.run();

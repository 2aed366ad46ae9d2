/** Who calls: access keys, their signatures (AWS Signature Version 4) and what each one's policy allows. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { EC2Error, unauthorized } from './errors.ts';

/** An access key of the lab's account and what its policy allows. */
export type AccessKey = {
  id: string;
  secret: string;
  /** Actions it may call, `*` as a wildcard at the end. */
  allow: readonly string[];
  /** A session that has ended. */
  expired?: boolean;
};

/** The operator's policy: what its calls need (DESIGN.md, "Converging EC2"), and no more. */
const OPERATOR_ACTIONS = [
  'DescribeNetworkInterfaces',
  'DescribeAddresses',
  'DescribeInstances',
  'DescribeSubnets',
  'DescribeSecurityGroupRules',
  'DescribeInstanceTypes',
  'AssignPrivateIpAddresses',
  'UnassignPrivateIpAddresses',
  'AssociateAddress',
  'DisassociateAddress',
];

/** The access keys of the lab. They open nothing but the lab. */
export const ACCESS_KEYS = {
  operator: { id: 'AKIALABOPERATOR00001', secret: 'lab-operator', allow: OPERATOR_ACTIONS },
  person: { id: 'AKIALABPERSON0000001', secret: 'lab-person', allow: ['*'] },
  readOnly: { id: 'AKIALABREADONLY00001', secret: 'lab-read-only', allow: ['Describe*'] },
  nobody: { id: 'AKIALABNOBODY0000001', secret: 'lab-nobody', allow: [] },
  expired: { id: 'ASIALABEXPIRED000001', secret: 'lab-expired', allow: ['*'], expired: true },
} as const satisfies Record<string, AccessKey>;

/** A request as its signature covers it. */
export type SignedRequest = {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
};

/** How far the caller's clock may be off. */
const ALLOWED_SKEW_MS = 5 * 60_000;

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();

const header = (headers: IncomingHttpHeaders, name: string): string => {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(',') : (value ?? '')).trim().replace(/ +/g, ' ');
};

/** The request in the form of Signature Version 4, task 1. */
const canonicalRequest = (request: SignedRequest, signedHeaders: string[]): string => {
  const [path = '/', query = ''] = request.url.split('?');
  const headers = signedHeaders.map((name) => `${name}:${header(request.headers, name)}\n`).join('');
  const sortedQuery = query.split('&').sort().join('&');
  return [request.method, path, sortedQuery, headers, signedHeaders.join(';'), sha256(request.body)].join(
    '\n',
  );
};

const signature = (
  request: SignedRequest,
  key: AccessKey,
  scope: string,
  signedHeaders: string[],
): string => {
  const [date = '', region = '', service = ''] = scope.split('/');
  const text = [
    'AWS4-HMAC-SHA256',
    header(request.headers, 'x-amz-date'),
    scope,
    sha256(canonicalRequest(request, signedHeaders)),
  ].join('\n');
  const signingKey = [region, service, 'aws4_request'].reduce<Buffer>(hmac, hmac(`AWS4${key.secret}`, date));
  return hmac(signingKey, text).toString('hex');
};

const signedAtMs = (request: SignedRequest): number => {
  const stamp = header(request.headers, 'x-amz-date');
  return Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
};

/** Where keys of sessions are looked up. */
export type SessionKeys = { find(id: string, token: string, nowMs: number): AccessKey | undefined };

const authorizationForm =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$/;

/**
 * Who signed the request (Signature Version 4).
 * @param nowMs Unix milliseconds
 * @throws EC2Error with the code that EC2 gives for each way to fail.
 */
export const authenticate = (
  request: SignedRequest,
  region: string,
  nowMs: number,
  sessions: SessionKeys = { find: () => undefined },
): AccessKey => {
  const authorization = request.headers.authorization;
  if (authorization === undefined)
    throw new EC2Error('MissingAuthenticationToken', 'Request is missing Authentication Token');
  const match = authorizationForm.exec(authorization);
  const token = header(request.headers, 'x-amz-security-token');
  const key =
    Object.values<AccessKey>(ACCESS_KEYS).find((known) => known.id === match?.[1]) ??
    sessions.find(match?.[1] ?? '', token, nowMs);
  if (match === null || key === undefined)
    throw new EC2Error('AuthFailure', 'AWS was not able to validate the provided access credentials');
  const [, , scope = '', names = '', given = ''] = match;
  if (scope.split('/')[1] !== region)
    throw new EC2Error('AuthFailure', `Credential should be scoped to a valid region (${region}).`);
  if (!(Math.abs(nowMs - signedAtMs(request)) <= ALLOWED_SKEW_MS))
    throw new EC2Error('RequestExpired', 'Request has expired.');
  const expected = signature(request, key, scope, names.split(';'));
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(given))) {
    throw new EC2Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided.',
    );
  }
  if (key.expired) throw new EC2Error('ExpiredToken', 'The provided token has expired.');
  return key;
};

/** @throws EC2Error `UnauthorizedOperation` when the key's policy does not allow the action. */
export const authorise = (key: AccessKey, action: string): void => {
  const allowed = key.allow.some((pattern) =>
    pattern.endsWith('*') ? action.startsWith(pattern.slice(0, -1)) : pattern === action,
  );
  if (!allowed) throw unauthorized();
};

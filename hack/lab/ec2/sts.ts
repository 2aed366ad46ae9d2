/**
 * STS, as far as a pod's identity needs it (STS API Reference, "AssumeRoleWithWebIdentity"): any token is believed. What it
 * gives out are sessions of the operator's role.
 */
import { randomUUID } from 'node:crypto';
import type { Sessions } from './sessions.ts';
import { escapeXML } from './xml.ts';

/** The version of the API that requests name. */
export const STS_VERSION = '2011-06-15';

/** An answer in XML. */
export type STSAnswer = { status: number; body: string };

const NAMESPACE = `https://sts.amazonaws.com/doc/${STS_VERSION}/`;

/** An error in STS's own form. */
export const stsError = (status: number, code: string, message: string): STSAnswer => ({
  status,
  body: `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type><Code>${escapeXML(code)}</Code><Message>${escapeXML(message)}</Message></Error><RequestId>${randomUUID()}</RequestId></ErrorResponse>`,
});

/** Answers a request. @param nowMs Unix milliseconds */
export const answerSTS = (sessions: Sessions, fields: URLSearchParams, nowMs: number): STSAnswer => {
  const action = fields.get('Action') ?? '';
  if (action !== 'AssumeRoleWithWebIdentity')
    return stsError(400, 'InvalidAction', `The lab's STS has no action ${action}.`);
  const role = fields.get('RoleArn');
  const token = fields.get('WebIdentityToken');
  if (!role || !token)
    return stsError(400, 'MissingParameter', 'RoleArn and WebIdentityToken must be specified');
  const { id, secret, token: sessionToken, endsAtMs } = sessions.issue(nowMs);
  const members = {
    AccessKeyId: id,
    SecretAccessKey: secret,
    SessionToken: sessionToken,
    Expiration: new Date(endsAtMs).toISOString(),
  };
  const credentials = Object.entries(members).map(
    ([name, value]) => `<${name}>${escapeXML(value)}</${name}>`,
  );
  const arn = escapeXML(`${role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/hapair`);
  const result = `<Credentials>${credentials.join('')}</Credentials><AssumedRoleUser><Arn>${arn}</Arn><AssumedRoleId>AROALAB:hapair</AssumedRoleId></AssumedRoleUser>`;
  return {
    status: 200,
    body: `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result><ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata></${action}Response>`,
  };
};

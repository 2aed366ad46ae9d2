/**
 * Credentials that end: the role of an EC2 instance, as its metadata service gives them out (EC2 User Guide, "IAM roles for
 * EC2"). Served on the EC2 API's own port, for a process with AWS_EC2_METADATA_SERVICE_ENDPOINT set to it.
 */
import { randomBytes } from 'node:crypto';
import { ACCESS_KEYS, type AccessKey } from './credentials.ts';

/** A session of the role; `endsAtMs` is Unix milliseconds. */
export type Session = AccessKey & { token: string; endsAtMs: number };

/** An answer of the role's metadata. */
export type RoleAnswer = { status: number; type: 'text/plain' | 'application/json'; body: string };

const ROLE = 'hapair-operator';
const CREDENTIALS_PATH = '/latest/meta-data/iam/security-credentials/';
const SESSIONS_KEPT = 1000;

const text = (body: string, status = 200): RoleAnswer => ({ status, type: 'text/plain', body });

/** Sessions of the operator's role. Times are Unix milliseconds. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  /** How long sessions last that are given out from now on. */
  lifetimeMs = 6 * 3_600_000;
  /** How many were ever given out. */
  issued = 0;

  /** Paths that begin with /latest/; the token of IMDSv2 is not looked at here. */
  answer(method: string, path: string, nowMs: number): RoleAnswer {
    switch (`${method} ${path}`) {
      case 'PUT /latest/api/token':
        return text('lab-token');
      case `GET ${CREDENTIALS_PATH}`:
        return text(ROLE);
      case `GET ${CREDENTIALS_PATH}${ROLE}`:
        return {
          status: 200,
          type: 'application/json',
          body: JSON.stringify(this.#describe(this.issue(nowMs), nowMs)),
        };
      default:
        return text('', 404);
    }
  }

  /** Gives out one more. */
  issue(nowMs: number): Session {
    this.issued++;
    const session: Session = {
      id: `ASIALAB${this.issued.toString().padStart(13, '0')}`,
      secret: randomBytes(20).toString('hex'),
      token: randomBytes(20).toString('hex'),
      allow: ACCESS_KEYS.operator.allow,
      endsAtMs: nowMs + this.lifetimeMs,
    };
    this.#sessions.set(session.id, session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > SESSIONS_KEPT && oldest !== undefined) this.#sessions.delete(oldest);
    return session;
  }

  #describe(session: Session, nowMs: number): Record<string, string> {
    return {
      Code: 'Success',
      Type: 'AWS-HMAC',
      LastUpdated: new Date(nowMs).toISOString(),
      AccessKeyId: session.id,
      SecretAccessKey: session.secret,
      Token: session.token,
      Expiration: new Date(session.endsAtMs).toISOString(),
    };
  }

  /** The key of a session, as it is now; a wrong token is no session's. */
  find(id: string, token: string, nowMs: number): AccessKey | undefined {
    const session = this.#sessions.get(id);
    return session?.token === token ? { ...session, expired: session.endsAtMs <= nowMs } : undefined;
  }

  /** Ends every session before its time, as when a role is revoked. */
  endAll(): void {
    for (const session of this.#sessions.values()) session.endsAtMs = 0;
  }
}

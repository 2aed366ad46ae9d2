/** What a call of the Kubernetes API can end in. */
import { plainText } from '../runtime/plain-text.ts';

/** Of the API server's words, or those of a webhook behind it, what goes into logs. */
const QUOTED = 2_048;
/** Of a reason, a field or the name of a field manager. */
const NAME_CHARACTERS = 256;

/**
 * - `Conflict`: 409, a newer resourceVersion or another field manager; read again.
 * - `Gone`: 410, the resourceVersion or continue token is too old; list again.
 * - `Throttled`: 429; wait `retryAfterMs`.
 * - `Invalid`: any other 4xx: the request itself is wrong, a retry unchanged is useless.
 * - `TimedOut`: no answer within the deadline, or 504: the call may have worked.
 * - `Unreachable`: no connection, or it broke before the answer.
 * - `Aborted`: the caller's signal.
 */
export type KubeErrorKind =
  | 'Conflict'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Gone'
  | 'Throttled'
  | 'Unauthorized'
  | 'Forbidden'
  | 'Invalid'
  | 'ServerError'
  | 'TimedOut'
  | 'Unreachable'
  | 'Aborted';

/** A field that a server-side apply wanted and another manager owns. */
export type FieldConflict = {
  /** The rival's field manager, such as `kubectl-edit`; with what else the API server says of it where it cannot be read. */
  manager: string;
  /** Such as `.spec.priority`. */
  field: string;
};

/** A failed call. The message says what was attempted on which object; it never holds a credential. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly kind: KubeErrorKind;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The API server's own word, such as `AlreadyExists`; empty without one. */
  readonly reason: string;
  /** The server's Retry-After. */
  readonly retryAfterMs: number | undefined;
  /** Who owns what a server-side apply wanted: to be shown to people, not taken by force. Empty for every other error. */
  readonly conflicts: readonly FieldConflict[];

  constructor(
    message: string,
    facts: {
      kind: KubeErrorKind;
      status?: number;
      reason?: string;
      retryAfterMs?: number | undefined;
      conflicts?: readonly FieldConflict[];
    },
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.kind = facts.kind;
    this.status = facts.status ?? 0;
    this.reason = facts.reason ?? '';
    this.retryAfterMs = facts.retryAfterMs;
    this.conflicts = facts.conflicts ?? [];
  }
}

/** Whether `error` is a KubeError of this kind. */
export const isKubeError = (error: unknown, kind: KubeErrorKind): error is KubeError =>
  error instanceof KubeError && error.kind === kind;

/** The parts of metav1.Status that matter here. */
export type StatusBody = {
  code?: number;
  reason?: string;
  message?: string;
  details?: { retryAfterSeconds?: number; causes?: StatusCause[] };
};

type StatusCause = { reason?: string; message?: string; field?: string };

/**
 * The causes as the API server words them (apimachinery, managedfields/internal/conflict.go): reason FieldManagerConflict,
 * message `conflict with "NAME" [with subresource "status"] [using VERSION at TIME]`.
 */
const conflictsOf = (causes: readonly StatusCause[]): FieldConflict[] =>
  causes
    .filter(({ reason }) => reason === 'FieldManagerConflict')
    .map(({ message = '', field = '' }) => ({
      manager: plainText(/^conflict with "((?:[^"\\]|\\.)*)"/.exec(message)?.[1] ?? message, NAME_CHARACTERS),
      field: plainText(field, NAME_CHARACTERS),
    }));

const kindOfStatus = (status: number, reason: string): KubeErrorKind => {
  if (status === 409) return reason === 'AlreadyExists' ? 'AlreadyExists' : 'Conflict';
  if (status === 410 || reason === 'Expired' || reason === 'Gone') return 'Gone';
  if (status === 401) return 'Unauthorized';
  if (status === 403) return 'Forbidden';
  if (status === 404) return 'NotFound';
  if (status === 429) return 'Throttled';
  if (status === 504) return 'TimedOut';
  return status >= 500 || status < 400 ? 'ServerError' : 'Invalid';
};

/**
 * The error an answer stands for.
 * @param attempt what was attempted, such as `get Lease kube-system/a`
 * @param retryAfter the Retry-After header: seconds (the only form the API server sends)
 */
export const errorOfStatus = (
  attempt: string,
  status: number,
  body: StatusBody | undefined,
  retryAfter?: string,
): KubeError => {
  const reason = plainText(body?.reason ?? '', NAME_CHARACTERS);
  const seconds = Number(retryAfter ?? body?.details?.retryAfterSeconds ?? Number.NaN);
  const said = body?.message ? `: ${plainText(body.message, QUOTED)}` : '';
  return new KubeError(`${attempt}: ${status}${reason && ` ${reason}`}${said}`, {
    kind: kindOfStatus(status, reason),
    status,
    reason,
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
    conflicts: conflictsOf(body?.details?.causes ?? []),
  });
};

/**
 * What an EC2 error means for a loop that never gives up: its class, whether the call may have worked all the same, and
 * the word a person reads. Codes: EC2 API Reference, "Error codes".
 */
import type { Reason } from '../crds/conditions.ts';
import { plainText } from '../runtime/plain-text.ts';
import type { EC2ErrorClass, EC2Result } from './types.ts';

/** An error as the SDK throws it, reduced to what the classes depend on. */
export type RawError = {
  /** EC2's error code, the SDK's error name, or the system's errno word. */
  code: string;
  /** Plain text of a bounded length. */
  message: string;
  /** Absent: no HTTP answer arrived. */
  httpStatus?: number;
};

const CLASS_BY_CODE: Record<string, EC2ErrorClass> = {
  RequestLimitExceeded: 'Throttled',
  Throttling: 'Throttled',
  ThrottlingException: 'Throttled',
  EC2ThrottledException: 'Throttled',
  InternalError: 'Unavailable',
  InternalFailure: 'Unavailable',
  ServerInternal: 'Unavailable',
  Unavailable: 'Unavailable',
  ServiceUnavailable: 'Unavailable',
  AuthFailure: 'CredentialsInvalid',
  RequestExpired: 'CredentialsInvalid',
  SignatureDoesNotMatch: 'CredentialsInvalid',
  ExpiredToken: 'CredentialsInvalid',
  InvalidClientTokenId: 'CredentialsInvalid',
  CredentialsProviderError: 'CredentialsInvalid',
  NoCredentials: 'CredentialsInvalid',
  UnauthorizedOperation: 'Unauthorized',
  'InvalidNetworkInterfaceID.NotFound': 'TargetMissing',
  'InvalidNetworkInterfaceId.Malformed': 'TargetMissing',
  'InvalidNetworkInterfaceID.Malformed': 'TargetMissing',
  'InvalidInstanceID.NotFound': 'TargetMissing',
  'InvalidAllocationID.NotFound': 'AllocationMissing',
  'InvalidAddress.NotFound': 'AllocationMissing',
  'InvalidAddressID.NotFound': 'AllocationMissing',
  'Resource.AlreadyAssociated': 'AddressInUse',
  'InvalidIPAddress.InUse': 'AddressInUse',
  PrivateIpAddressLimitExceeded: 'QuotaExceeded',
  IncorrectInstanceState: 'StateConflict',
  IncorrectState: 'StateConflict',
  'Gateway.NotAttached': 'StateConflict',
  InvalidParameterValue: 'Rejected',
  TimeoutError: 'TimedOut',
  RequestTimeout: 'TimedOut',
  AbortError: 'TimedOut',
  ETIMEDOUT: 'TimedOut',
  ECONNRESET: 'TimedOut',
  EPIPE: 'TimedOut',
  ECONNREFUSED: 'Unreachable',
  EHOSTUNREACH: 'Unreachable',
  ENETUNREACH: 'Unreachable',
  ENOTFOUND: 'Unreachable',
  EAI_AGAIN: 'Unreachable',
  NotLeading: 'NotLeading',
  NothingNamed: 'Rejected',
};

const REASON_BY_CLASS: Record<EC2ErrorClass, Reason> = {
  Throttled: 'EC2Throttled',
  Unavailable: 'EC2Unavailable',
  TimedOut: 'EC2TimedOut',
  Unreachable: 'EC2Unreachable',
  CredentialsInvalid: 'EC2CredentialsInvalid',
  Unauthorized: 'EC2Unauthorized',
  TargetMissing: 'EC2TargetMissing',
  AllocationMissing: 'EC2AllocationMissing',
  AddressInUse: 'EC2AddressInUse',
  QuotaExceeded: 'EC2QuotaExceeded',
  StateConflict: 'EC2StateConflict',
  Rejected: 'EC2Rejected',
  NotLeading: 'LeaderLost',
};

/** The word for an error class in conditions, Events and logs. */
export const reasonOf = (errorClass: EC2ErrorClass): Reason => REASON_BY_CLASS[errorClass];

/**
 * EC2 answers `AuthFailure` with 401 to credentials that it does not accept, in this Region or in any, and with 400 to who may not
 * touch a resource: an EIP that a NAT gateway holds, say. The latter says nothing about credentials.
 */
const isAboutResource = ({ code, httpStatus }: RawError): boolean =>
  code === 'AuthFailure' && httpStatus === 400;

/**
 * The class of an error. A code that is not in the table goes by the HTTP status; without an HTTP answer the call counts as
 * cut in the middle, the reading that assumes least.
 */
export const classify = (error: RawError): EC2ErrorClass => {
  if (isAboutResource(error)) return 'AddressInUse';
  const known = CLASS_BY_CODE[error.code];
  if (known !== undefined) return known;
  if (error.httpStatus === undefined) return 'TimedOut';
  if (error.httpStatus >= 500) return 'Unavailable';
  return error.httpStatus === 401 || error.httpStatus === 403 ? 'Unauthorized' : 'Rejected';
};

/** Of EC2's words, what goes into conditions, Events and logs. */
const QUOTED = 1_024;

/** EC2 enciphers its reasons for a denial anew in each answer: text that no person can read and no status must follow. */
const withoutBlob = (message: string): string =>
  message.replace(/\s*Encoded authorization failure message: \S+/, '');

/** EC2 ends its sentences itself; whoever quotes one ends his own. */
const withoutStop = (message: string): string => message.trimEnd().replace(/\.+$/, '');

/** A failed call as the loop sees it. Timeouts, cut connections and faults of EC2's own side may have worked. */
export const failureOf = (error: RawError): EC2Result & { ok: false } => {
  const errorClass = classify(error);
  return {
    ok: false,
    class: errorClass,
    code: error.code,
    message: withoutStop(plainText(withoutBlob(error.message), QUOTED)),
    mayHaveHappened: errorClass === 'TimedOut' || errorClass === 'Unavailable',
  };
};

/**
 * True for classes that time alone may heal, as a source of credentials that comes back; the others need a person, and are retried
 * all the same, slower.
 */
export const isTransient = (errorClass: EC2ErrorClass): boolean =>
  errorClass === 'CredentialsInvalid' ||
  errorClass === 'Throttled' ||
  errorClass === 'Unavailable' ||
  errorClass === 'TimedOut' ||
  errorClass === 'Unreachable' ||
  errorClass === 'NotLeading';

/** True when an answer of this class says that our view of EC2 is out of date, so that a read comes before the next call. */
export const asksForRead = (result: EC2Result): boolean => {
  if (result.ok || result.mayHaveHappened) return true;
  return !['Throttled', 'Unreachable', 'CredentialsInvalid', 'Unauthorized', 'NotLeading'].includes(
    result.class,
  );
};

/** HTTP statuses of EC2's error codes that are not 400 (EC2 API Reference, "Error codes"). */
const STATUSES: Record<string, number> = {
  AuthFailure: 401,
  DryRunOperation: 412,
  InternalError: 500,
  InternalFailure: 500,
  MissingAuthenticationToken: 403,
  RequestLimitExceeded: 503,
  ServerInternal: 500,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  Unavailable: 503,
  UnauthorizedOperation: 403,
};

/** An answer of EC2 that is an error: its code, its HTTP status and a text that is no contract. */
export class EC2Error extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'EC2Error';
    this.code = code;
    this.status = STATUSES[code] ?? 400;
  }
}

/** `InvalidParameterValue`: EC2's answer to at least four different mistakes. */
export const invalidValue = (message: string): EC2Error => new EC2Error('InvalidParameterValue', message);

/** The answer to an authorised call with DryRun. */
export const dryRun = (): EC2Error =>
  new EC2Error('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.');

/** The answer to a call that the caller's policy does not allow. */
export const unauthorized = (): EC2Error =>
  new EC2Error('UnauthorizedOperation', 'You are not authorized to perform this operation.');

/** The answer of an empty token bucket. */
export const limitExceeded = (): EC2Error => new EC2Error('RequestLimitExceeded', 'Request limit exceeded.');

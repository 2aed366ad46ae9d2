import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { REASONS } from '../crds/conditions.ts';
import { asksForRead, failureOf, isTransient, reasonOf } from './errors.ts';
import { rawErrorOf } from './shapes.ts';

// code, HTTP status (0: none), class, may have happened, asks for a read before the next call
const TABLE = [
  ['RequestLimitExceeded', 503, 'Throttled', false, false],
  ['InternalError', 500, 'Unavailable', true, true],
  ['InternalFailure', 500, 'Unavailable', true, true],
  ['ServerInternal', 500, 'Unavailable', true, true],
  ['Unavailable', 503, 'Unavailable', true, true],
  ['ServiceUnavailable', 503, 'Unavailable', true, true],
  ['SomethingUnheardOf', 502, 'Unavailable', true, true],
  ['TimeoutError', 0, 'TimedOut', true, true],
  ['AbortError', 0, 'TimedOut', true, true],
  ['ECONNRESET', 0, 'TimedOut', true, true],
  ['SomethingUnheardOf', 0, 'TimedOut', true, true],
  ['ECONNREFUSED', 0, 'Unreachable', false, false],
  ['ENOTFOUND', 0, 'Unreachable', false, false],
  ['AuthFailure', 401, 'CredentialsInvalid', false, false],
  ['AuthFailure', 400, 'AddressInUse', false, true],
  ['NoCredentials', 0, 'CredentialsInvalid', false, false],
  ['RequestExpired', 400, 'CredentialsInvalid', false, false],
  ['SignatureDoesNotMatch', 403, 'CredentialsInvalid', false, false],
  ['ExpiredToken', 400, 'CredentialsInvalid', false, false],
  ['CredentialsProviderError', 0, 'CredentialsInvalid', false, false],
  ['UnauthorizedOperation', 403, 'Unauthorized', false, false],
  ['InvalidNetworkInterfaceID.NotFound', 400, 'TargetMissing', false, true],
  ['InvalidNetworkInterfaceId.Malformed', 400, 'TargetMissing', false, true],
  ['InvalidInstanceID.NotFound', 400, 'TargetMissing', false, true],
  ['InvalidAllocationID.NotFound', 400, 'AllocationMissing', false, true],
  ['InvalidAddress.NotFound', 400, 'AllocationMissing', false, true],
  ['InvalidAddressID.NotFound', 400, 'AllocationMissing', false, true],
  ['Resource.AlreadyAssociated', 400, 'AddressInUse', false, true],
  ['InvalidIPAddress.InUse', 400, 'AddressInUse', false, true],
  ['PrivateIpAddressLimitExceeded', 400, 'QuotaExceeded', false, true],
  ['IncorrectInstanceState', 400, 'StateConflict', false, true],
  ['IncorrectState', 400, 'StateConflict', false, true],
  ['Gateway.NotAttached', 400, 'StateConflict', false, true],
  ['InvalidParameterValue', 400, 'Rejected', false, true],
  ['SomethingUnheardOf', 400, 'Rejected', false, true],
  ['NothingNamed', 0, 'Rejected', false, true],
  ['NotLeading', 0, 'NotLeading', false, false],
] as const;

for (const [code, httpStatus, errorClass, mayHaveHappened, reads] of TABLE) {
  test(`${code} (${httpStatus || 'no answer'}) is ${errorClass}`, () => {
    const failure = failureOf({ code, message: 'x', ...(httpStatus && { httpStatus }) });
    assert.is(failure.class, errorClass);
    assert.is(failure.mayHaveHappened, mayHaveHappened);
    assert.is(asksForRead(failure), reads);
    assert.ok(reasonOf(failure.class) in REASONS);
  });
}

test('a success asks for a read: the call is confirmed, not believed', () => {
  assert.ok(asksForRead({ ok: true }));
});

test('only what time may heal is transient', () => {
  assert.ok(isTransient('Throttled') && isTransient('TimedOut') && isTransient('Unreachable'));
  assert.ok(isTransient('NotLeading'));
  assert.ok(isTransient('CredentialsInvalid'), 'their source comes back');
  assert.not(isTransient('Unauthorized'));
  assert.not(isTransient('Rejected'));
});

test("an error with an HTTP answer goes by EC2's code, one without by the system's", () => {
  const answered = Object.assign(new Error('no'), {
    name: 'AuthFailure',
    code: 'EXYZ',
    $metadata: { httpStatusCode: 401 },
  });
  assert.equal(rawErrorOf(answered), { code: 'AuthFailure', message: 'no', httpStatus: 401 });
  const cut = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET', $metadata: {} });
  assert.equal(rawErrorOf(cut), { code: 'ECONNRESET', message: 'socket hang up' });
});

test('what an error says is plain text of a bounded length', () => {
  const hostile = Object.assign(new Error(`\u001b[2Jno\n${'x'.repeat(100_000)}`), {
    name: 'A\u0007'.repeat(1_000),
  });
  const { code, message } = rawErrorOf(hostile);
  assert.ok(code.length <= 100 && message.length <= 500);
  assert.not.match(`${code}${message}`, /\p{Cc}/u);
});

test('two denials read alike: what EC2 enciphers anew each time is left out', () => {
  const denied = (blob: string) =>
    failureOf({
      code: 'UnauthorizedOperation',
      message: `You are not authorized to perform this operation. Encoded authorization failure message: ${blob}`,
      httpStatus: 403,
    }).message;
  assert.is(denied('aBc-1_2'), denied('xYz-3_4'));
  assert.is(denied('aBc-1_2'), 'You are not authorized to perform this operation');
});

test('a message has no full stop of its own: whoever quotes it ends the sentence', () => {
  const { message } = failureOf({
    code: 'RequestLimitExceeded',
    message: 'Request limit exceeded.',
    httpStatus: 503,
  });
  assert.is(message, 'Request limit exceeded');
});

test('what EC2 says is one line of a bounded length', () => {
  const { message } = failureOf({
    code: 'InvalidParameterValue',
    message: `a\u001b[2J\n${'x'.repeat(5_000)}`,
  });
  assert.match(message, /^a \[2J x+…$/);
  assert.is(message.length, 1_024);
});

test.run();

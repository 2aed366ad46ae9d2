import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createOutage } from './outage.ts';

test('an outage is told after so many failures, whatever their reasons, and no sooner', () => {
  const outage = createOutage(3);
  assert.equal(
    ['a', 'b', 'b', 'b'].map((reason) => outage.failed(reason)),
    [false, false, true, false],
  );
  assert.ok(outage.ended());
  assert.not(outage.failed('b'));
  assert.not(outage.ended(), 'nothing was told of this one');
});

test('when the reason of an outage changes, that is told once, however often it changes back', () => {
  const outage = createOutage(1);
  const reasons = ['refused', ...'404 404 404 404 refused refused refused 404 404 404'.split(' ')];
  assert.equal(
    reasons
      .map((reason) => outage.failed(reason))
      .map((isTold, index) => (isTold ? `${index} ${reasons[index]}` : ''))
      .join(''),
    '0 refused3 404',
  );
});

test('a reason that is plain is told at once, and once', () => {
  const outage = createOutage(1);
  const told = ['away', 'refused', 'away', 'refused', 'refused'].map((reason) =>
    outage.failed(reason, reason === 'refused'),
  );
  assert.equal(told, [true, true, false, false, false]);
});

test('reasons that come by turns are not told, and of endless new ones only some', () => {
  const outage = createOutage(1);
  outage.failed('a');
  assert.not(['b', 'c', 'b', 'c', 'b', 'c'].some((reason) => outage.failed(reason)));
  const many = Array.from({ length: 100 }, (_, index) => `r${index >> 2}`);
  assert.is(many.filter((reason) => outage.failed(reason)).length, 7);
});

test.run();

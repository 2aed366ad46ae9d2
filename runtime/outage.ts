/** What a log says of an outage: why it began and, once, each other reason that it has come to have. */

/** Another reason is told once it has come so often in a row: what fails by turns for two reasons fills no log. */
const ALIKE_TO_TELL = 3;
/** Of one outage. */
const REASONS_TOLD = 8;

export type Outage = {
  /**
   * An attempt has failed.
   * @param isPlain one failure for that reason is enough to tell it; default false
   * @returns whether that is to be told now
   */
  failed(reason: string, isPlain?: boolean): boolean;
  /** It is over. @returns whether anything was told of it */
  ended(): boolean;
};

/** @param failuresToTell so many failures in a row are an outage */
export const createOutage = (failuresToTell: number): Outage => {
  const told = new Set<string>();
  let failures = 0;
  let alike = 0;
  let last: string | undefined;
  return {
    failed(reason, isPlain = false) {
      failures += 1;
      alike = reason === last ? alike + 1 : 1;
      last = reason;
      const isEnough = told.size === 0 ? failures >= failuresToTell : isPlain || alike >= ALIKE_TO_TELL;
      const isDue = isEnough && !told.has(reason) && told.size < REASONS_TOLD;
      if (isDue) told.add(reason);
      return isDue;
    },
    ended() {
      const wasTold = told.size > 0;
      told.clear();
      failures = 0;
      last = undefined;
      return wasTold;
    },
  };
};

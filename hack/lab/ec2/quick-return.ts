/** Recognises an address that comes back to an ENI soon after it left, which takes EC2 longer. */
import type { State } from './state.ts';

/** A way back within this time is slow (observed against AWS: 4.8-16 s where the way there took about 1 s). */
const QUICK_MS = 60_000;

/** Which addresses have left which ENIs lately. Times are any clock that does not go back, in milliseconds. */
export class Departures {
  readonly #leftAtMs = new Map<string, number>();

  /** Notes what leaves in this step; true: something comes back to where it was within the last minute. */
  note(before: State, after: State, nowMs: number): boolean {
    let isQuickReturn = false;
    for (const [place, leftAtMs] of this.#leftAtMs) {
      if (nowMs - leftAtMs > QUICK_MS) this.#leftAtMs.delete(place);
    }
    for (const eni of after.networkInterfaces) {
      const was = before.networkInterfaces.find((each) => each.networkInterfaceID === eni.networkInterfaceID);
      if (was === eni || was === undefined) continue;
      const place = (address: string) => `${address} ${eni.networkInterfaceID}`;
      for (const address of was.addresses.filter((each) => !eni.addresses.includes(each)))
        this.#leftAtMs.set(place(address), nowMs);
      const arrived = eni.addresses.filter((each) => !was.addresses.includes(each));
      isQuickReturn ||= arrived.some((address) => this.#leftAtMs.has(place(address)));
    }
    return isQuickReturn;
  }
}

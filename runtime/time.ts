/**
 * RFC 3339 time as the Kubernetes API writes it. Pure: no function here reads a clock. Instants are milliseconds since the
 * Unix epoch, with a fraction where microseconds matter.
 */

/**
 * Instant of an RFC 3339 time in milliseconds.
 * @returns NaN when `text` is absent or no time.
 */
export const parseTimeMs = (text: string | undefined): number =>
  text === undefined ? Number.NaN : Date.parse(text);

/**
 * Instant of a metav1.MicroTime in milliseconds, its microseconds kept as a fraction: `Date` would cut them off.
 * @returns NaN when `text` is absent or no time.
 */
export const parseMicroTimeMs = (text: string | undefined): number => {
  const micros = /\.\d{3}(\d{1,3})/.exec(text ?? '')?.[1] ?? '';
  return parseTimeMs(text) + Number(micros.padEnd(3, '0')) / 1_000;
};

/** Writes a metav1.Time: whole seconds, UTC, such as `2026-11-22T10:00:00Z`. */
export const formatTime = (instantMs: number): string =>
  `${new Date(Math.floor(instantMs / 1000) * 1000).toISOString().slice(0, 19)}Z`;

/** Writes a metav1.MicroTime: six digits of a second, UTC, such as `2026-11-22T10:00:00.123456Z`. */
export const formatMicroTime = (instantMs: number): string => {
  const micros = Math.floor(instantMs * 1000);
  const seconds = new Date(Math.floor(micros / 1_000_000) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}Z`;
};

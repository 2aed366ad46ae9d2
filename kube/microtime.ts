/** metav1.MicroTime: six digits of a second, UTC, such as `2026-11-22T10:00:00.123456Z`. @param wallMs since the Unix epoch */
export const microTime = (wallMs: number): string => {
  const micros = Math.floor(wallMs * 1000);
  const seconds = new Date(Math.floor(micros / 1_000_000) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}Z`;
};

/** Returns what an error of any kind says; whatever else was thrown is told as text. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

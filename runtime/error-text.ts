/**
 * Returns what an error of any kind says; whatever else was thrown is told as text. One that stands for several, as of a host with
 * two addresses, says what each of them does.
 */
export const messageOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
};

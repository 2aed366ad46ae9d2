/** A bug of a kind that broke earlier drafts of the rules, planted into the product to see whether the simulation catches it. */

export type Bug = {
  /** What is wrong, as a reader of the rules would say it. */
  name: string;
  /** Relative to the repository. */
  file: string;
  /** Stands in the file exactly once. */
  text: string;
  /** What takes its place. */
  planted: string;
  /** The promise that should catch it: a trace of TRACES.md or an invariant of INVARIANTS.md. Traces of that number are tried first. */
  promise: string;
  /** The beginning of the name of a test that tells soonest. Default: `promise`. */
  first?: string;
};

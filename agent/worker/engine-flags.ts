/**
 * With what the engine (V8) is to run an agent: `node ...ENGINE_FLAGS PROGRAM`. As it comes, a thread that collects garbage, or is
 * to be compiled for, waits for helper threads. Those have no real-time scheduling: on a busy machine the VRRP worker, which has
 * it, would stand still for tens of milliseconds until they get their turn. The engine takes these flags only at its start;
 * changed later they end the process.
 */
export const ENGINE_FLAGS = [
  // Each thread does its own work; there is little of it here.
  '--single-threaded',
  // The optimizing compilers would now hold up the thread itself, by milliseconds for each function.
  '--no-maglev',
  '--no-turbofan',
  // Code that has not run for a while would be thrown away, such as that of a claim.
  '--no-flush-bytecode',
] as const;

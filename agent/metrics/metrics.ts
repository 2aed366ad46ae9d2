/**
 * `/metrics` of the agent: what is known of it at the moment of the scrape (series.ts), and what the client library knows of
 * the process. The VRRP worker is asked for its counts; it answers between two datagrams, and a scrape does not wait for it long.
 */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { expose } from './exposition.ts';
import { familiesOf, type WorkerSnapshot } from './series.ts';
import type { AgentSnapshot } from './snapshot.ts';

/** What is scraped. */
export type Scraped = {
  snapshot(): AgentSnapshot;
  /** @throws Error when the worker does not answer in time */
  askWorker(): Promise<NonNullable<WorkerSnapshot>>;
};

export type AgentMetrics = {
  contentType: string;
  /** In Prometheus' text format. */
  text(): Promise<string>;
};

/** Between two looks at the event loop: the library's 10 ms would cost more of the processor than the election itself. */
const EVENT_LOOP_SAMPLE_MS = 100;

/** @param version of the agent, shown by `hapair_agent_build_info` */
export const createMetrics = (agent: Scraped, version: string): AgentMetrics => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS });
  new Gauge({
    name: 'hapair_agent_build_info',
    help: 'The version of the agent and the name of its node; always 1.',
    labelNames: ['node', 'version'],
    registers: [registry],
  }).set({ node: agent.snapshot().nodeName, version }, 1);

  return {
    contentType: registry.contentType,
    async text() {
      // That it does not answer is a series of its own.
      const [ofProcess, worker] = await Promise.all([
        registry.metrics(),
        agent.askWorker().catch(() => null),
      ]);
      return `${ofProcess}${expose(familiesOf(agent.snapshot(), worker))}`;
    },
  };
};

/** The timeline as a picture: who answered the clients, who was Master, where EC2 delivered, and what happened when. */
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** A stretch of time in a lane; `state` is a node's name, or `lost`. */
export type Segment = { lane: string; fromMs: number; toMs: number; state: string };

/** A named instant, drawn across all lanes. */
export type Mark = { atMs: number; label: string };

const COLOURS: Record<string, string> = { node1: '#3b76af', node2: '#e08a3c', lost: '#c8202f' };

/**
 * Draws the lanes from top to bottom in the order of their first appearance.
 * @param startMs the instant that the time axis calls zero; nothing earlier is drawn.
 * @returns an SVG document.
 */
export const drawPicture = async (
  title: string,
  segments: readonly Segment[],
  marks: readonly Mark[],
  startMs: number,
): Promise<string> => {
  const seconds = (ms: number): number => Math.max(0, ms - startMs) / 1000;
  const lanes = [...new Set(segments.map((s) => s.lane))];
  const states = Object.keys(COLOURS);
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: title, anchor: 'start' },
    width: 1300,
    height: lanes.length * 42,
    padding: { left: 10, right: 20, top: 10, bottom: 10 },
    background: 'white',
    layer: [
      {
        data: { values: segments.map((s) => ({ ...s, from: seconds(s.fromMs), to: seconds(s.toMs) })) },
        mark: { type: 'bar', height: 22 },
        encoding: {
          x: {
            field: 'from',
            type: 'quantitative',
            title: 'seconds since the HAPair was applied',
            scale: { nice: false },
          },
          x2: { field: 'to' },
          y: {
            field: 'lane',
            type: 'nominal',
            sort: lanes,
            title: null,
            axis: { labelFontSize: 12, labelLimit: 500 },
          },
          color: {
            field: 'state',
            type: 'nominal',
            scale: { domain: states, range: states.map((s) => COLOURS[s] ?? 'black') },
            legend: { title: null, orient: 'bottom' },
          },
        },
      },
      {
        data: { values: marks.map((m) => ({ at: seconds(m.atMs), label: m.label })) },
        layer: [
          {
            mark: { type: 'rule', strokeDash: [3, 3], color: '#444' },
            encoding: { x: { field: 'at', type: 'quantitative' } },
          },
          {
            mark: { type: 'text', align: 'left', angle: 330, dx: 2, dy: -6, fontSize: 11, clip: false },
            encoding: { x: { field: 'at', type: 'quantitative' }, y: { value: 0 }, text: { field: 'label' } },
          },
        ],
      },
    ],
  };
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
};

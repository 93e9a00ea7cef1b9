/** The cluster as this node sees it: itself in the middle, the others around it, and how far away each is. */
import type { ClusterNode } from "../api/types";
import { nodeTone } from "./tone";

const SIZE = { width: 640, height: 260 };

/** Where each of `count` others stands: on an ellipse, from the top; one or two beside the middle. */
export function place(index: number, count: number): { x: number; y: number } {
  const angle = (2 * Math.PI * index) / Math.max(1, count) - (count > 2 ? Math.PI / 2 : 0);
  return {
    x: SIZE.width / 2 + Math.cos(angle) * SIZE.width * 0.36,
    y: SIZE.height / 2 + Math.sin(angle) * SIZE.height * 0.34,
  };
}

export function Topology({ nodes }: { nodes: readonly ClusterNode[] }) {
  const here = nodes.find((node) => node.here);
  const others = nodes.filter((node) => !node.here);
  if (!here) return null;
  const middle = { x: SIZE.width / 2, y: SIZE.height / 2 };
  // One or two stand on one line with the middle, and need no room above it.
  const [top, height] = others.length > 2 ? [0, SIZE.height] : [middle.y - 45, 100];
  const spots = others.map((node, at) => ({ node, ...place(at, others.length) }));
  const words = spots.map(({ node }) => `${node.name}, ${node.state}${node.round_trip_us === null ? "" : `, ${(node.round_trip_us / 1000).toFixed(1)} ms away`}`);
  return (
    <svg className="topology" viewBox={`0 ${top} ${SIZE.width} ${height}`} role="img" aria-label={`${here.name} reaches ${words.join("; ")}`}>
      {spots.map(({ node, x, y }) => (
        <g key={node.id} className={`link-line ${nodeTone(node.state)}`}>
          <line x1={middle.x} y1={middle.y} x2={x} y2={y} />
          {node.round_trip_us !== null && node.state !== "down" && (
            <text x={(middle.x + x) / 2} y={(middle.y + y) / 2 - 5} className="topology-far">{(node.round_trip_us / 1000).toFixed(1)} ms</text>
          )}
        </g>
      ))}
      {spots.map(({ node, x, y }) => <Spot key={node.id} node={node} x={x} y={y} />)}
      <Spot node={here} x={middle.x} y={middle.y} />
    </svg>
  );
}

function Spot({ node, x, y }: { node: ClusterNode; x: number; y: number }) {
  return (
    <g className={`spot ${nodeTone(node.state)}`}>
      <circle cx={x} cy={y} r={node.here ? 11 : 9} className="spot-back" />
      <circle cx={x} cy={y} r={node.here ? 7 : 5.5} className="spot-dot" />
      <text x={x} y={y + 27} className="spot-name">{node.name}</text>
    </g>
  );
}

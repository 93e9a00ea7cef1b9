/** A small chart of the last readings. It has a word beside it; to a screen reader it is only a picture of that. */
import { READINGS_MAX, useSeries } from "../lib/history";

const WIDTH = 240;
const HEIGHT = 40;
/** A young chart is drawn wider, so that there is something to see. */
const READINGS_MIN = 30;

/** The points of a line over `WIDTH` by `HEIGHT`, the newest at the right edge. */
export function points(values: readonly number[], max: number): string {
  const step = WIDTH / (Math.min(READINGS_MAX, Math.max(READINGS_MIN, values.length)) - 1);
  const first = WIDTH - (values.length - 1) * step;
  const top = max > 0 ? max : 1;
  return values
    .map((value, at) => {
      const y = HEIGHT - 1 - (Math.min(Math.max(value, 0), top) / top) * (HEIGHT - 2);
      return `${(first + at * step).toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}

export function Spark({ series, max }: { series: string; max?: number }) {
  const values = useSeries(series);
  const line = points(values, max ?? Math.max(1, ...values));
  const start = line.split(",", 1)[0] ?? "0";
  return (
    <svg className="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <path className="spark-base" d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} />
      {values.length > 1 && (
        <>
          <polygon className="spark-fill" points={`${start},${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
          <polyline className="spark-line" points={line} />
        </>
      )}
    </svg>
  );
}

/**
 * What the charts draw: the last readings of each series, for as long as the page is open.
 *
 * Decides how many are kept. Nothing of it is stored.
 */
import { useSyncExternalStore } from "react";
import type { Top } from "../api/types";

/** Four minutes, at one reading in two seconds. */
export const READINGS_MAX = 120;
/** Far more devices than a cluster shows on one page. */
const SERIES_MAX = 512;

export class History {
  private readonly series = new Map<string, readonly number[]>();
  private readonly listeners = new Set<() => void>();
  private last = { at: 0, completion: 0 };

  add(name: string, value: number | null): void {
    if (value === null || !Number.isFinite(value)) return;
    const before = this.series.get(name);
    if (!before && this.series.size >= SERIES_MAX) return;
    this.series.set(name, [...(before ?? []), value].slice(-READINGS_MAX));
  }

  of(name: string): readonly number[] {
    return this.series.get(name) ?? NONE;
  }

  /** Everything that is drawn of one look at the cluster. */
  take(top: Top): void {
    if (top.at_unix_ms <= this.last.at) return;
    for (const node of top.nodes) {
      for (const device of node.devices) {
        const name = `${node.id}/${device.id}`;
        this.add(`${name}/busy`, device.utilisation_percent);
        if (device.memory_total_bytes && device.memory_used_bytes !== null) {
          this.add(`${name}/memory`, (100 * device.memory_used_bytes) / device.memory_total_bytes);
        }
      }
    }
    this.add("running", top.requests.running + top.requests.waiting);
    const seconds = (top.at_unix_ms - this.last.at) / 1000;
    const written = top.requests.completion_tokens - this.last.completion;
    // The first look has nothing to be compared with; an agent that was started again counts from 0.
    if (this.last.at > 0 && written >= 0) this.add("tokens", written / seconds);
    this.last = { at: top.at_unix_ms, completion: top.requests.completion_tokens };
    for (const listener of this.listeners) listener();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

const NONE: readonly number[] = [];
export const history = new History();

export function useSeries(name: string): readonly number[] {
  return useSyncExternalStore(history.subscribe, () => history.of(name));
}

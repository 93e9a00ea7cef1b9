/** Which colour a state has. */
import type { ClusterNode } from "../api/types";
import type { Tone } from "../ui/basics";

export function nodeTone(state: ClusterNode["state"]): Tone {
  switch (state) {
    case "up":
      return "good";
    case "down":
      return "bad";
    case "draining":
    case "pending":
      return "warn";
    case "joining":
      return "info";
  }
}

export function healthTone(health: string): Tone {
  if (health === "healthy") return "good";
  return health === "lost" ? "bad" : "warn";
}

export function replicaTone(state: string): Tone {
  if (state === "ready") return "good";
  return state === "failed" ? "bad" : "warn";
}

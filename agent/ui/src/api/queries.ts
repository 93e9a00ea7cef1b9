/**
 * What the page knows of the agent, and how fresh it is.
 *
 * Decides how often each thing is asked for. A change names what it makes stale; nothing is guessed ahead of the agent's answer.
 */
import { QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { history } from "../lib/history";
import { ApiError, api, json, part } from "./client";
import type { Plugin, PluginDetails, Secret, Services } from "./plugins";
import type { Drift, PartDetails, Run, Setup } from "./setup";
import type {
  Adoption, Alerts, ClusterNode, Doors, JoinToken, Key, ModelOffer, Models, Neighbour, Offer, Replica, Schedulers, Session, Top, Trace, User, Version,
} from "./types";

/** Often enough to look alive; each look asks every node once. */
const LIVE_MS = 2000;
const SLOW_MS = 10_000;

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1000,
      refetchOnWindowFocus: true,
      // What is refused is refused again; what did not arrive may.
      retry: (failures, error) => failures < 2 && error instanceof ApiError && error.status === 0,
    },
  },
});

function useLook<T>(key: readonly unknown[], path: string, every?: number | false, enabled = true) {
  return useQuery<T, ApiError>({
    queryKey: key,
    queryFn: ({ signal }) => json<T>(api(path), { signal }),
    refetchInterval: every ?? false,
    enabled,
  });
}

export const useSession = () => useLook<Session>(["session"], "/session", SLOW_MS);

export function useTop() {
  const top = useLook<Top>(["top"], "/top", LIVE_MS);
  const data = top.data;
  useEffect(() => {
    if (data) history.take(data);
  }, [data]);
  return top;
}

export const useModels = () => useLook<Models>(["models"], "/models", LIVE_MS);
export const useModelOffers = () => useLook<{ offers: ModelOffer[] }>(["models", "offers"], "/models/-/offers", SLOW_MS);
export const useReplicas = () => useLook<{ replicas: Replica[] }>(["ps"], "/ps", LIVE_MS);
export const useNodes = (every: number = LIVE_MS) =>
  useLook<{ cluster: string; nodes: ClusterNode[] }>(["nodes"], "/cluster/nodes", every);
export const useTokens = () => useLook<{ tokens: JoinToken[] }>(["tokens"], "/cluster/tokens", SLOW_MS);
export const useNeighbours = (enabled: boolean) =>
  useLook<{ neighbours: Neighbour[] }>(["neighbours"], "/cluster/neighbours", 4000, enabled);
export const useAdoptions = (enabled = true) =>
  useLook<{ adoptions: Adoption[]; offer: Offer }>(["adoptions"], "/cluster/adoptions", LIVE_MS, enabled);
export const useKeys = () => useLook<{ keys: Key[] }>(["keys"], "/keys");
export const useUsers = (enabled: boolean) => useLook<{ users: User[] }>(["users"], "/users", false, enabled);
export const useDoors = () => useLook<Doors>(["doors"], "/sign-in");
export const useAlerts = () => useLook<Alerts>(["alerts"], "/alerts", 5000);
export const useTrace = (request: number | null) =>
  useLook<Trace>(["trace", request], `/requests/${request ?? 0}`, false, request !== null);
export const usePlugins = () => useLook<{ plugins: Plugin[] }>(["plugins"], "/plugins", SLOW_MS);
export const usePlugin = (name: string | null) =>
  useLook<PluginDetails>(["plugins", name], `/plugins/${part(name ?? "")}`, false, name !== null);
export const useServices = (kind: "upstreams" | "notifiers") => useLook<Services>([kind], `/${kind}`, 5000);
export const useSecrets = () => useLook<{ secrets: Secret[] }>(["secrets"], "/secrets");
export const useSchedulers = () => useLook<Schedulers>(["scheduler"], "/scheduler", 5000);
export const useVersion = () => useLook<Version>(["version"], "/version");

export const useSetup = (enabled = true) => useLook<Setup>(["setup"], "/setup", false, enabled);
export const usePart = (id: string, enabled: boolean) =>
  useLook<PartDetails>(["setup", "part", id], `/setup/parts/${part(id)}`, false, enabled);
export const useRun = (id: string | null) =>
  useLook<Run>(["setup", "run", id], `/setup/runs/${part(id ?? "")}`, false, id !== null);
export const useRuns = (enabled: boolean) => useLook<{ runs: Run[] }>(["setup", "runs"], "/setup/runs", false, enabled);
export const useDrift = (enabled: boolean) => useLook<{ drift: Drift[] }>(["setup", "drift"], "/setup/drift", false, enabled);

/** A change, and what is to be asked for again after it, whether or not it was done. */
export function useChange<Input, Output>(change: (input: Input) => Promise<Output>, stale: readonly string[]) {
  const queries = useQueryClient();
  return useMutation<Output, Error, Input>({
    mutationFn: change,
    onSettled: () => Promise.all(stale.map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  });
}

"""The component's face: what the host calls, in the generated bindings' types."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import scheduler_types as t

from policy import RANKED_MAX, Cluster

cluster = Cluster(ready=t.ReplicaState.READY, lost=t.Health.LOST)


class Policy(exports.Policy):
    def observe(self, change):
        match change:
            case t.Change_Node(node):
                cluster.nodes[node.id] = node
            case t.Change_NodeGone(id):
                cluster.nodes.pop(id, None)
            case t.Change_Replica(replica):
                cluster.replicas[replica.id] = replica
            case t.Change_ReplicaGone(id):
                cluster.replicas.pop(id, None)

    def route(self, request):
        ready, others = cluster.seats(request.model)
        if not ready:
            if others:
                raise Err(t.Refusal_Busy("no replica is ready"))
            raise Err(t.Refusal_Unknown("no replica has this model"))
        ranked = [t.Candidate(r.id, f"{r.running} running") for r in ready[:RANKED_MAX]]
        passed_over = [t.Candidate(r.id, why) for r, why in others[:RANKED_MAX]]
        return t.Choice(ranked, passed_over, f"{ready[0].running} running, the fewest")

    def place(self, job):
        spots = cluster.spots(job)
        if not spots:
            raise Err(t.Refusal_Busy("no device has room"))
        ranked = [
            t.Spot(node, [device], f"{-free >> 20} MiB free")
            for free, node, device in spots[:RANKED_MAX]
        ]
        return t.Placement(ranked, [], "the most memory is free there")

"""A scheduler: the first ready replica with the fewest running requests. Plain Python, to be tested without a component."""

RANKED_MAX = 8


class Cluster:
    def __init__(self, ready, lost):
        self.nodes = {}
        self.replicas = {}
        self.ready = ready
        self.lost = lost

    def node_fault(self, node):
        if node.health == self.lost:
            return "its node is lost"
        if node.draining:
            return "its node is draining"
        return None

    def replica_fault(self, replica):
        if replica.state != self.ready:
            return "it is not ready"
        node = self.nodes.get(replica.node)
        if node is None:
            return None
        if any(d.health == self.lost and d.id in replica.devices for d in node.devices):
            return "its device is lost"
        return self.node_fault(node)

    def seats(self, model):
        """The replicas of a model that can serve, best first, and the others with what is wrong."""
        ready, others = [], []
        for replica in self.replicas.values():
            if replica.model != model:
                continue
            why = self.replica_fault(replica)
            if why is None:
                ready.append(replica)
            else:
                others.append((replica, why))
        ready.sort(key=lambda r: (r.running, r.id))
        return ready, others

    def spots(self, job):
        """Devices with room for a model, the most free memory first."""
        found = []
        for node in self.nodes.values():
            labels = set(map(tuple, node.labels))
            if self.node_fault(node) or not all(tuple(need) in labels for need in job.require):
                continue
            for device in node.devices:
                pinned = not job.devices or device.id in job.devices
                if device.health != self.lost and pinned and device.memory_free_bytes >= job.memory_bytes:
                    found.append((-device.memory_free_bytes, node.id, device.id))
        return sorted(found)

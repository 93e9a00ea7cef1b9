// A scheduler: the first ready replica with the fewest running requests.
// Every number of the contract comes as a Number, which is exact up to 2^53; the host counts no further.

const RANKED_MAX = 8;
const nodes = new Map();
const replicas = new Map();

function nodeFault(node) {
  if (node.health === "lost") return "its node is lost";
  if (node.draining) return "its node is draining";
  return null;
}

function replicaFault(replica) {
  if (replica.state !== "ready") return `it is ${replica.state}`;
  const node = nodes.get(replica.node);
  if (!node) return null;
  const lost = node.devices.find(
    (device) => device.health === "lost" && replica.devices.includes(device.id),
  );
  return nodeFault(node) ?? (lost ? "its device is lost" : null);
}

function fits(node, job) {
  return (
    !nodeFault(node) &&
    job.require.every(([key, value]) => node.labels.some(([k, v]) => k === key && v === value))
  );
}

export const policy = {
  observe(change) {
    switch (change.tag) {
      case "node":
        nodes.set(change.val.id, change.val);
        break;
      case "node-gone":
        nodes.delete(change.val);
        break;
      case "replica":
        replicas.set(change.val.id, change.val);
        break;
      case "replica-gone":
        replicas.delete(change.val);
        break;
    }
  },

  // A refusal is thrown.
  route(request) {
    const ready = [];
    const passedOver = [];
    for (const replica of replicas.values()) {
      if (replica.model !== request.model) continue;
      const why = replicaFault(replica);
      if (why) passedOver.push({ replica: replica.id, why });
      else ready.push(replica);
    }
    if (ready.length === 0) {
      throw passedOver.length > 0
        ? { tag: "busy", val: "no replica is ready" }
        : { tag: "unknown", val: "no replica has this model" };
    }
    ready.sort((a, b) => a.running - b.running || (a.id < b.id ? -1 : 1));
    return {
      ranked: ready
        .slice(0, RANKED_MAX)
        .map((replica) => ({ replica: replica.id, why: `${replica.running} running` })),
      passedOver: passedOver.slice(0, RANKED_MAX),
      why: `${ready[0].running} running, the fewest`,
    };
  },

  place(job) {
    const spots = [];
    for (const node of nodes.values()) {
      if (!fits(node, job)) continue;
      for (const device of node.devices) {
        const pinned = job.devices.length === 0 || job.devices.includes(device.id);
        if (device.health !== "lost" && pinned && device.memoryFreeBytes >= job.memoryBytes)
          spots.push({ node: node.id, device: device.id, free: device.memoryFreeBytes });
      }
    }
    if (spots.length === 0) throw { tag: "busy", val: "no device has room" };
    const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    spots.sort((a, b) => order(b.free, a.free) || order(a.node, b.node) || order(a.device, b.device));
    return {
      ranked: spots.slice(0, RANKED_MAX).map((spot) => ({
        node: spot.node,
        devices: [spot.device],
        why: `${Math.floor(spot.free / 2 ** 20)} MiB free`,
      })),
      passedOver: [],
      why: "the most memory is free there",
    };
  },
};

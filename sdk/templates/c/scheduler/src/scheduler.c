// A scheduler: the first ready replica with the fewest running requests.
//
// What the host passes in belongs to the function that gets it, which frees or keeps it; what is returned is freed by the bindings.

#include "../bindings/scheduler.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef scheduler_string_t string_t;
typedef skep_plugin_scheduler_types_device_t device_t;
typedef skep_plugin_scheduler_types_node_t node_t;
typedef skep_plugin_scheduler_types_replica_t replica_t;
typedef exports_skep_plugin_policy_change_t change_t;
typedef exports_skep_plugin_policy_job_t job_t;
typedef exports_skep_plugin_policy_spot_t spot_t;
typedef exports_skep_plugin_policy_placement_t placement_t;
typedef exports_skep_plugin_policy_request_t request_t;
typedef exports_skep_plugin_policy_candidate_t candidate_t;
typedef exports_skep_plugin_policy_choice_t choice_t;
typedef exports_skep_plugin_policy_refusal_t refusal_t;

enum {
  RANKED_MAX = 8,
  LOST = SKEP_PLUGIN_SCHEDULER_TYPES_HEALTH_LOST,
  READY = SKEP_PLUGIN_SCHEDULER_TYPES_REPLICA_STATE_READY,
  BUSY = SKEP_PLUGIN_SCHEDULER_TYPES_REFUSAL_BUSY,
  UNKNOWN = SKEP_PLUGIN_SCHEDULER_TYPES_REFUSAL_UNKNOWN,
};

// What the host told so far.
static struct { node_t *at; size_t count, room; } nodes;
static struct { replica_t *at; size_t count, room; } replicas;

static bool same(string_t a, string_t b) {
  return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static string_t text(const char *format, ...) {
  char buffer[160];
  va_list values;
  va_start(values, format);
  vsnprintf(buffer, sizeof buffer, format, values);
  va_end(values);
  string_t made;
  scheduler_string_dup(&made, buffer);
  return made;
}

static string_t copy(string_t from) {
  string_t made;
  scheduler_string_dup_n(&made, (const char *)from.ptr, from.len);
  return made;
}

static void *room(void *at, size_t bytes) {
  at = realloc(at, bytes);
  if (!at) abort();
  return at;
}

static node_t *find_node(string_t id) {
  for (size_t i = 0; i < nodes.count; i++)
    if (same(nodes.at[i].id, id)) return &nodes.at[i];
  return NULL;
}

static replica_t *find_replica(uint64_t id) {
  for (size_t i = 0; i < replicas.count; i++)
    if (replicas.at[i].id == id) return &replicas.at[i];
  return NULL;
}

static void forget_node(string_t id) {
  node_t *found = find_node(id);
  if (!found) return;
  skep_plugin_scheduler_types_node_free(found);
  *found = nodes.at[--nodes.count];
}

static void forget_replica(uint64_t id) {
  replica_t *found = find_replica(id);
  if (!found) return;
  skep_plugin_scheduler_types_replica_free(found);
  *found = replicas.at[--replicas.count];
}

void exports_skep_plugin_policy_observe(change_t *change) {
  switch (change->tag) {
  case SKEP_PLUGIN_SCHEDULER_TYPES_CHANGE_NODE:
    forget_node(change->val.node.id);
    if (nodes.count == nodes.room)
      nodes.at = room(nodes.at, (nodes.room = 2 * nodes.room + 16) * sizeof *nodes.at);
    nodes.at[nodes.count++] = change->val.node; // Kept.
    break;
  case SKEP_PLUGIN_SCHEDULER_TYPES_CHANGE_REPLICA:
    forget_replica(change->val.replica.id);
    if (replicas.count == replicas.room)
      replicas.at = room(replicas.at, (replicas.room = 2 * replicas.room + 16) * sizeof *replicas.at);
    replicas.at[replicas.count++] = change->val.replica; // Kept.
    break;
  case SKEP_PLUGIN_SCHEDULER_TYPES_CHANGE_NODE_GONE:
    forget_node(change->val.node_gone);
    exports_skep_plugin_policy_change_free(change);
    break;
  case SKEP_PLUGIN_SCHEDULER_TYPES_CHANGE_REPLICA_GONE:
    forget_replica(change->val.replica_gone);
    break;
  }
}

static const char *node_fault(const node_t *node) {
  if (node->health == LOST) return "its node is lost";
  if (node->draining) return "its node is draining";
  return NULL;
}

static bool names(scheduler_list_string_t list, string_t name) {
  for (size_t i = 0; i < list.len; i++)
    if (same(list.ptr[i], name)) return true;
  return false;
}

static const char *replica_fault(const replica_t *replica) {
  if (replica->state != READY) return "it is not ready";
  const node_t *node = find_node(replica->node);
  if (!node) return NULL;
  for (size_t i = 0; i < node->devices.len; i++) {
    device_t device = node->devices.ptr[i];
    if (device.health == LOST && names(replica->devices, device.id)) return "its device is lost";
  }
  return node_fault(node);
}

static bool refuse(refusal_t *refusal, uint8_t tag, const char *why) {
  refusal->tag = tag;
  refusal->val.busy = text("%s", why);
  return false;
}

static bool fewer(const replica_t *a, const replica_t *b) {
  return a->running != b->running ? a->running < b->running : a->id < b->id;
}

bool exports_skep_plugin_policy_route(request_t *request, choice_t *choice, refusal_t *refusal) {
  const replica_t *best[RANKED_MAX + 1];
  size_t ready = 0, others = 0;
  candidate_t *passed_over = room(NULL, RANKED_MAX * sizeof *passed_over);
  for (size_t i = 0; i < replicas.count; i++) {
    const replica_t *replica = &replicas.at[i];
    if (!same(replica->model, request->model)) continue;
    const char *why = replica_fault(replica);
    if (why) {
      if (others < RANKED_MAX)
        passed_over[others++] = (candidate_t){replica->id, text("%s", why)};
      continue;
    }
    size_t at = ready;
    for (; at > 0 && fewer(replica, best[at - 1]); at--) best[at] = best[at - 1];
    best[at] = replica;
    if (ready < RANKED_MAX) ready++;
  }
  exports_skep_plugin_policy_request_free(request);
  if (ready == 0) {
    for (size_t i = 0; i < others; i++) exports_skep_plugin_policy_candidate_free(&passed_over[i]);
    free(passed_over);
    return others ? refuse(refusal, BUSY, "no replica is ready")
                  : refuse(refusal, UNKNOWN, "no replica has this model");
  }
  candidate_t *ranked = room(NULL, ready * sizeof *ranked);
  for (size_t i = 0; i < ready; i++)
    ranked[i] = (candidate_t){best[i]->id, text("%u running", best[i]->running)};
  choice->ranked.ptr = ranked, choice->ranked.len = ready;
  choice->passed_over.ptr = passed_over, choice->passed_over.len = others;
  // The bindings free no list that is empty.
  if (others == 0) free(passed_over), choice->passed_over.ptr = NULL;
  choice->why = text("%u running, the fewest", best[0]->running);
  return true;
}

static bool has_labels(const node_t *node, const job_t *job) {
  for (size_t i = 0; i < job->require.len; i++) {
    bool found = false;
    for (size_t j = 0; j < node->labels.len && !found; j++)
      found = same(node->labels.ptr[j].f0, job->require.ptr[i].f0) &&
              same(node->labels.ptr[j].f1, job->require.ptr[i].f1);
    if (!found) return false;
  }
  return true;
}

bool exports_skep_plugin_policy_place(job_t *job, placement_t *placement, refusal_t *refusal) {
  struct { const node_t *node; const device_t *device; } best[RANKED_MAX + 1];
  size_t count = 0;
  for (size_t i = 0; i < nodes.count; i++) {
    const node_t *node = &nodes.at[i];
    if (node_fault(node) || !has_labels(node, job)) continue;
    for (size_t j = 0; j < node->devices.len; j++) {
      const device_t *device = &node->devices.ptr[j];
      bool pinned = job->devices.len == 0 || names(job->devices, device->id);
      if (device->health == LOST || !pinned || device->memory_free_bytes < job->memory_bytes) continue;
      size_t at = count;
      for (; at > 0 && device->memory_free_bytes > best[at - 1].device->memory_free_bytes; at--)
        best[at] = best[at - 1];
      best[at].node = node, best[at].device = device;
      if (count < RANKED_MAX) count++;
    }
  }
  exports_skep_plugin_policy_job_free(job);
  if (count == 0) return refuse(refusal, BUSY, "no device has room");
  spot_t *ranked = room(NULL, count * sizeof *ranked);
  for (size_t i = 0; i < count; i++) {
    string_t *device = room(NULL, sizeof *device);
    *device = copy(best[i].device->id);
    ranked[i].node = copy(best[i].node->id);
    ranked[i].devices.ptr = device, ranked[i].devices.len = 1;
    ranked[i].why = text("%llu MiB free", (unsigned long long)(best[i].device->memory_free_bytes >> 20));
  }
  placement->ranked.ptr = ranked, placement->ranked.len = count;
  placement->passed_over.ptr = NULL, placement->passed_over.len = 0;
  placement->why = text("the most memory is free there");
  return true;
}

// The logic, compiled for this machine: `cc -w tests/fewest.c -o build/fewest && build/fewest`.

#include "../bindings/scheduler.c"
#include "../src/scheduler.c"

#undef NDEBUG
#include <assert.h>

static void tell(uint64_t id, uint32_t running) {
  replica_t replica = {.id = id, .state = READY, .running = running};
  scheduler_string_dup(&replica.model, "tiny");
  scheduler_string_dup(&replica.node, "n1");
  change_t change = {.tag = SKEP_PLUGIN_SCHEDULER_TYPES_CHANGE_REPLICA};
  change.val.replica = replica;
  exports_skep_plugin_policy_observe(&change);
}

int main(void) {
  tell(1, 5);
  tell(2, 1);
  tell(3, 3);
  request_t request = {0};
  scheduler_string_dup(&request.model, "tiny");
  choice_t choice;
  refusal_t refusal;
  assert(exports_skep_plugin_policy_route(&request, &choice, &refusal));
  assert(choice.ranked.len == 3);
  assert(choice.ranked.ptr[0].replica == 2);
  assert(choice.ranked.ptr[1].replica == 3);
  assert(choice.ranked.ptr[2].replica == 1);
  puts("the one with the fewest requests comes first: ok");
}

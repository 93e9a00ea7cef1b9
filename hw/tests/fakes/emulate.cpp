// Fibers and when they wait.
//
// A fiber has a stack of its own above memory that nobody may touch; it serves one thread of a block after another and stays
// for later launches. Its first step is taken with makecontext, all later ones with _setjmp and _longjmp, which make no
// system call.

// The checked longjmp refuses to go to another stack.
#undef _FORTIFY_SOURCE

#include "emulate.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>

namespace emulate {

Place place;

namespace {

// What may not be touched is larger than the locals of most kernels that have too many.
constexpr std::size_t stack_bytes = 64 << 10, below_bytes = 256 << 10;

struct Fiber {
    char* stack = nullptr;
    bool started = false;
    jmp_buf at;
};

enum class State { unstarted, ready, at_barrier, at_exchange, returned };

struct Thread {
    State state = State::unstarted;
    Fiber* fiber = nullptr;
    unsigned bits = 0, mask = 0;
};

// What runs now; one launch at a time. Nothing here is destroyed at exit, when other threads may still launch.
struct Run {
    const char* name = nullptr;
    const Call* call = nullptr;
    void** parameters = nullptr;
    Thread* thread = nullptr;
    jmp_buf scheduler;
    std::vector<Thread> threads;
    std::vector<Fiber*> fibers, idle;
};
Run& now = *new Run;

std::map<std::string, const Call*>& table() {
    static auto* kernels = new std::map<std::string, const Call*>;
    return *kernels;
}

__attribute__((noinline)) void step(jmp_buf& from, jmp_buf& to) {
    if (_setjmp(from) == 0) _longjmp(to, 1);
}

// The calling fiber waits, or is at its end, in the thread's new state.
void leave(State state) {
    now.thread->state = state;
    step(now.thread->fiber->at, now.scheduler);
}

void serve() {
    for (;;) {
        now.call->run(now.parameters);
        leave(State::returned);
    }
}

__attribute__((noinline)) void start(Fiber& fiber) {
    fiber.started = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack;
    context.uc_stack.ss_size = stack_bytes;
    context.uc_link = nullptr;
    makecontext(&context, serve, 0);
    if (_setjmp(now.scheduler) == 0) setcontext(&context);
}

Fiber* idle_fiber() {
    if (now.idle.empty()) {
        void* area = mmap(nullptr, below_bytes + stack_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char* stack = static_cast<char*>(area) + below_bytes;
        if (area == MAP_FAILED || mprotect(stack, stack_bytes, PROT_READ | PROT_WRITE) != 0) {
            std::fprintf(stderr, "emulate: no memory for a stack\n");
            std::abort();
        }
        Fiber* fiber = new Fiber;
        fiber->stack = stack;
        now.fibers.push_back(fiber);
        now.idle.push_back(fiber);
    }
    Fiber* fiber = now.idle.back();
    now.idle.pop_back();
    return fiber;
}

// Runs a thread until it waits or returns.
void resume(unsigned index) {
    Thread& thread = now.threads[index];
    if (thread.state == State::unstarted) thread.fiber = idle_fiber();
    place.thread = index;
    now.thread = &thread;
    if (thread.fiber->started) {
        step(now.scheduler, thread.fiber->at);
    } else {
        start(*thread.fiber);
    }
    if (thread.state == State::returned) now.idle.push_back(thread.fiber);
}

bool wrong(unsigned thread, const char* what) {
    std::fprintf(stderr, "emulate: kernel %s, block (%u, %u, %u), thread %u of %u: %s\n", now.name, place.block[0],
                 place.block[1], place.block[2], thread, place.threads, what);
    return false;
}

// Lets a group's threads have what they asked each other for; false if they did not all ask, or asked for nothing.
bool release_group(unsigned first, bool& released) {
    const unsigned end = first + group < place.threads ? first + group : place.threads;
    const Thread* asking = nullptr;
    for (unsigned i = first; i < end && !asking; i++) {
        if (now.threads[i].state == State::at_exchange) asking = &now.threads[i];
    }
    if (!asking) return true;
    const unsigned mask = asking->mask;
    unsigned given[group] = {};
    for (unsigned i = first; i < end; i++) {
        const Thread& thread = now.threads[i];
        if (thread.state == State::returned) continue;
        if (thread.state == State::at_barrier) return wrong(i, "waits at a barrier while its group exchanges");
        if (thread.mask != mask) return wrong(i, "exchanges with another mask than its group");
        const unsigned other = first + ((i - first) ^ mask);
        if (mask >= group || other >= end) return wrong(i, "exchanges with a lane that is not there");
        if (now.threads[other].state == State::returned) return wrong(i, "exchanges with a thread that has returned");
        given[i - first] = now.threads[other].bits;
    }
    for (unsigned i = first; i < end; i++) {
        Thread& thread = now.threads[i];
        if (thread.state != State::at_exchange) continue;
        thread.bits = given[i - first];
        thread.state = State::ready;
    }
    released = true;
    return true;
}

// All threads wait or have returned: lets go on those that may. False if none may though some wait.
bool release(bool& finished) {
    bool released = false;
    for (unsigned first = 0; first < place.threads; first += group) {
        if (!release_group(first, released)) return false;
    }
    if (released) return true;
    unsigned waiting = 0, first = 0;
    for (unsigned i = place.threads; i-- > 0;) {
        if (now.threads[i].state == State::at_barrier) waiting++, first = i;
    }
    finished = waiting == 0;
    if (finished) return true;
    if (waiting < place.threads) return wrong(first, "waits at a barrier that threads which returned never reach");
    for (Thread& thread : now.threads) thread.state = State::ready;
    return true;
}

bool run_block(bool backwards) {
    now.threads.assign(place.threads, Thread());
    for (bool finished = false; !finished;) {
        for (unsigned i = 0; i < place.threads; i++) {
            const unsigned index = backwards ? place.threads - 1 - i : i;
            const State state = now.threads[index].state;
            if (state == State::unstarted || state == State::ready) resume(index);
        }
        if (!release(finished)) return false;
    }
    return true;
}

}  // namespace

void barrier() { leave(State::at_barrier); }

unsigned exchange(unsigned bits, unsigned mask) {
    now.thread->bits = bits;
    now.thread->mask = mask;
    leave(State::at_exchange);
    return now.thread->bits;
}

const unsigned (*shared(const unsigned* words, unsigned count))[8] {
    static unsigned given[1024 / group][group][8];
    auto& lanes = given[place.thread / group];
    for (unsigned i = 0; i < count; i++) lanes[place.thread % group][i] = words[i];
    exchange(0, 1);
    return lanes;
}

Registered::Registered(const char* name, const Call* call) { table()[name] = call; }

const Call* find(const char* name) {
    const auto found = table().find(name);
    return found == table().end() ? nullptr : found->second;
}

bool launch(const char* name, const Call& call, const unsigned (&blocks)[3], unsigned threads, void** parameters,
            bool backwards) {
    now.name = name;
    now.call = &call;
    now.parameters = parameters;
    place.threads = threads;
    for (unsigned axis = 0; axis < 3; axis++) place.blocks[axis] = blocks[axis];
    for (place.block[2] = 0; place.block[2] < blocks[2]; place.block[2]++) {
        for (place.block[1] = 0; place.block[1] < blocks[1]; place.block[1]++) {
            for (place.block[0] = 0; place.block[0] < blocks[0]; place.block[0]++, backwards = !backwards) {
                if (run_block(backwards)) continue;
                // Whatever the threads were at is forgotten: every fiber starts anew.
                now.idle = now.fibers;
                for (Fiber* fiber : now.fibers) fiber->started = false;
                return false;
            }
        }
    }
    return true;
}

}  // namespace emulate

// Runs kernels on the host: what a kernel may ask about its place, and the table of the kernels there are.
//
// The threads of a block are fibers of the calling OS thread; blocks run one after another. A thread runs until it waits,
// so kernels need no atomics here, and whether they wait where they must is checked: a block in which some threads wait for
// others that never come fails its launch. Decides nothing about memory: pointers are the host's.
//
// Only one launch runs at a time: whoever launches holds a lock.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace emulate __attribute__((visibility("hidden"))) {

/// Where the running thread is.
struct Place {
    unsigned thread, threads;
    unsigned block[3], blocks[3];
};
extern Place place;

inline unsigned thread_index() { return place.thread; }
inline unsigned thread_count() { return place.threads; }
inline unsigned block(unsigned axis) { return place.block[axis]; }
inline unsigned block_count() { return place.blocks[0]; }

/// Waits for every thread of the block.
void barrier();
/// What the lane `lane ^ mask` of the group gives; every thread of the group that has not returned takes part, with the
/// same mask, and none may ask a lane that is not there.
unsigned exchange(unsigned bits, unsigned mask);

/// How threads of one group number: 32 consecutive threads.
constexpr unsigned group = 32;

/// What every lane of the group gives, up to 8 words; all take part. They are to exchange something once they have read it.
const unsigned (*shared(const unsigned* words, unsigned count))[8];

/// A parameter as a launch passes it: so many bytes behind a pointer.
struct Parameter {
    std::size_t bytes;
    bool pointer;
};

/// A kernel whose parameters are behind pointers, and what these are.
struct Call {
    void (*run)(void** parameters);
    const Parameter* parameters;
    std::size_t count;

    void operator()(void** values) const { run(values); }
};

template <auto kernel>
struct Signature;

template <class... P, void (*kernel)(P...)>
struct Signature<kernel> {
    static_assert((std::is_trivially_copyable_v<P> && ...), "parameters are copied as bytes");
    static_assert(((alignof(P) <= alignof(std::max_align_t)) && ...), "parameters lie where malloc would put them");
    static_assert((sizeof(P) + ... + 0) <= 4096, "a launch passes at most 4 KiB");

    // One more than there are: an array has at least one element.
    static constexpr Parameter parameters[] = {{sizeof(P), std::is_pointer_v<P>}..., {0, false}};

    static void run(void** values) { unpack(values, std::index_sequence_for<P...>()); }
    template <std::size_t... I>
    static void unpack([[maybe_unused]] void** values, std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_const_t<P>*>(values[I])...);
    }
    static constexpr Call call = {run, parameters, sizeof...(P)};
};

template <auto kernel>
constexpr Call call = Signature<kernel>::call;

/// Puts a kernel into the table.
struct Registered {
    Registered(const char* name, const Call* call);
};

/// The kernel of this name, or null. Kernels are never taken out of the table.
const Call* find(const char* name);

/// Runs all blocks. False if the threads of a block waited for each other in vain, which stderr tells; the blocks after
/// that have not run. With `backwards`, even blocks start with their last thread and odd ones with their first, else the
/// other way round: what is right in one order only lacks a barrier.
bool launch(const char* name, const Call& call, const unsigned (&blocks)[3], unsigned threads, void** parameters,
            bool backwards);

}  // namespace emulate

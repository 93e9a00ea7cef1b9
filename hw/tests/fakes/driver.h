// What the stand-in for the CUDA driver remembers, and how work given to a stream is done. Included by cuda.cpp alone.
//
// Everything is behind one lock, which each function takes as it begins. Contexts and what lies in them have handles that
// are never used twice, so that a stale one is known for what it is; memory has its address.
#pragma once

#include "emulate.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#define CODES(CODE)                                                                                                    \
    CODE(INVALID_VALUE, 1) CODE(OUT_OF_MEMORY, 2) CODE(NOT_INITIALIZED, 3) CODE(DEINITIALIZED, 4)                      \
    CODE(STUB_LIBRARY, 34) CODE(DEVICE_UNAVAILABLE, 46) CODE(NO_DEVICE, 100) CODE(INVALID_DEVICE, 101)                 \
    CODE(INVALID_IMAGE, 200) CODE(INVALID_CONTEXT, 201) CODE(NO_BINARY_FOR_GPU, 209) CODE(ECC_UNCORRECTABLE, 214)      \
    CODE(INVALID_PTX, 218) CODE(UNSUPPORTED_PTX_VERSION, 222) CODE(OPERATING_SYSTEM, 304) CODE(INVALID_HANDLE, 400)    \
    CODE(ILLEGAL_STATE, 401) CODE(NOT_FOUND, 500) CODE(NOT_READY, 600) CODE(ILLEGAL_ADDRESS, 700)                      \
    CODE(LAUNCH_OUT_OF_RESOURCES, 701) CODE(LAUNCH_TIMEOUT, 702) CODE(CONTEXT_IS_DESTROYED, 709) CODE(ASSERT, 710)     \
    CODE(ILLEGAL_INSTRUCTION, 715) CODE(MISALIGNED_ADDRESS, 716) CODE(LAUNCH_FAILED, 719) CODE(NOT_PERMITTED, 800)     \
    CODE(NOT_SUPPORTED, 801) CODE(SYSTEM_DRIVER_MISMATCH, 803) CODE(STREAM_CAPTURE_UNSUPPORTED, 900)                   \
    CODE(STREAM_CAPTURE_INVALIDATED, 901) CODE(STREAM_CAPTURE_IMPLICIT, 906) CODE(CAPTURED_EVENT, 907)                 \
    CODE(STREAM_CAPTURE_WRONG_THREAD, 908) CODE(UNKNOWN, 999)

namespace {

#define CODE(name, number) name = number,
enum : int { SUCCESS = 0, CODES(CODE) };
#undef CODE

using u64 = unsigned long long;
using Clock = std::chrono::steady_clock;
using Work = std::function<int()>;

constexpr std::size_t guard = 256;
constexpr int guard_byte = 0xa5;
constexpr unsigned usual_shared = 49152, most_shared = 232448;
enum Mode { GLOBAL, THREAD_LOCAL, RELAXED };

struct Memory {
    u64 context = 0;
    std::unique_ptr<char, void (*)(void*)> from{nullptr, std::free};  // the guard before it
    std::size_t bytes = 0;
    bool told = false;
};
struct Stream {
    u64 context = 0;
    bool blocking = true, capturing = false, invalidated = false;
    int mode = GLOBAL;
    std::thread::id owner;
    std::vector<Work> captured;
    std::deque<Work> late;
};
struct Graph { u64 context = 0; std::vector<Work> works; };
struct Event {
    enum State { NEVER, CAPTURED, WAITING, PASSED };
    u64 context = 0;
    bool timing = true;
    State state = NEVER;
    unsigned records = 0;
    u64 stream = 0;
    Clock::time_point time;
};
struct Module { u64 context = 0; };
struct Function { u64 context, module; std::string name; const emulate::Call* call; unsigned shared; };
struct Device { u64 context = 0; unsigned retained = 0; int broken = 0; std::size_t used = 0; Stream legacy; };
struct Fail { std::string name; int code; unsigned call; };

u64 last_handle = 0xcada0000;
u64 fresh() { return last_handle += 16; }

u64 number(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Driver {
    const u64 opened = last_handle;
    const std::size_t total = number("FAKE_CUDA_MEMORY_BYTES", 1ull << 30);
    const int capability = static_cast<int>(number("FAKE_CUDA_CAPABILITY", 90));
    const bool late = number("FAKE_CUDA_LATE", 0) != 0;
    bool ready = false, backwards = false;
    std::vector<Device> devices = std::vector<Device>(number("FAKE_CUDA_DEVICES", 1));
    std::map<u64, Memory> memory, pinned;
    std::map<u64, Stream> streams;
    std::map<u64, Graph> graphs, executables;
    std::map<u64, Event> events;
    std::map<u64, Module> modules;
    std::map<u64, Function> functions;
    std::map<std::string, unsigned> calls;
    std::vector<Fail> fails;

    Driver() {
        const char* text = std::getenv("FAKE_CUDA_FAIL");
        for (std::string rest = text ? text : ""; !rest.empty();) {
            const std::string one = rest.substr(0, rest.find(','));
            rest.erase(0, one.size() + 1);
            char name[64] = "";
            int code = 0;
            unsigned call = 0;
            if (std::sscanf(one.c_str(), "%63[^:]:%d:%u", name, &code, &call) >= 2) fails.push_back({name, code, call});
        }
    }
};

std::mutex mutex;
Driver* driver = new Driver;  // never destroyed at exit, when other threads may still call
Device* here = nullptr;       // whose context is the calling thread's; set by each call that needs one
thread_local u64 current = 0;

int tell(int code, const std::string& what) {
    std::fprintf(stderr, "cuda: %s\n", what.c_str());
    return code;
}

template <class T>
T* find(std::map<u64, T>& table, u64 handle) {
    const auto found = table.find(handle);
    return found == table.end() || found->second.context != here->context ? nullptr : &found->second;
}
Stream* stream_of(u64 handle) { return handle ? find(driver->streams, handle) : &here->legacy; }
Device* device_of(u64 context) {
    for (Device& device : driver->devices) {
        if (context && device.context == context) return &device;
    }
    return nullptr;
}

// The last piece of memory that begins at or before an address.
const std::pair<const u64, Memory>* before(const std::map<u64, Memory>& table, u64 address) {
    const auto after = table.upper_bound(address);
    return after == table.begin() ? nullptr : &*std::prev(after);
}
// Whether a range lies in one piece; an empty one may be right behind it.
bool holds(const std::map<u64, Memory>& table, u64 address, std::size_t bytes) {
    const auto* found = before(table, address);
    if (!found || found->second.context != here->context) return false;
    const u64 offset = address - found->first, all = found->second.bytes;
    return offset <= all && bytes <= all - offset;
}
// Host memory is what touches none of a device's, and does not leave pinned memory in which it begins.
bool on_host(u64 address, std::size_t bytes) {
    const auto* found = before(driver->memory, address + bytes - 1);
    if (!address || (found && found->first + found->second.bytes > address)) return false;
    return !holds(driver->pinned, address, 1) || holds(driver->pinned, address, bytes);
}

int allocate(std::map<u64, Memory>& table, std::size_t bytes, u64* out) {
    void* from = nullptr;
    if (bytes > SIZE_MAX / 2 || posix_memalign(&from, guard, bytes + 2 * guard) != 0) return OUT_OF_MEMORY;
    char* start = static_cast<char*>(from) + guard;
    std::memset(from, guard_byte, guard);
    std::memset(start, 0xff, bytes);
    std::memset(start + bytes, guard_byte, guard);
    Memory& memory = table[*out = reinterpret_cast<u64>(start)];
    memory.context = here->context;
    memory.from.reset(static_cast<char*>(from));
    memory.bytes = bytes;
    return SUCCESS;
}
bool spoiled(const Memory& memory) {
    static const std::string whole(guard, static_cast<char>(guard_byte));
    const char* from = memory.from.get();
    return std::memcmp(from, whole.data(), guard) != 0 ||
           std::memcmp(from + guard + memory.bytes, whole.data(), guard) != 0;
}
// Takes memory out of a table, and looks at its guards.
int let_go(std::map<u64, Memory>& table, std::map<u64, Memory>::iterator piece) {
    const bool bad = spoiled(piece->second);
    table.erase(piece);
    return bad ? tell(ILLEGAL_ADDRESS, "freed memory had been written outside of its bounds") : int{SUCCESS};
}

int perform(const Work& work) {
    if (!here->broken) here->broken = work();
    return here->broken;
}
int drain(Stream& stream) {
    for (; !stream.late.empty(); stream.late.pop_front()) perform(stream.late.front());
    return here->broken;
}
int drain_all(bool only_blocking = false) {
    if (!only_blocking) drain(here->legacy);
    for (auto& [handle, stream] : driver->streams) {
        if (stream.context == here->context && (stream.blocking || !only_blocking)) drain(stream);
    }
    return here->broken;
}

// Spoils the captures that a call concerns: whether there are any.
bool interrupts(bool (*concerns)(const Stream&)) {
    bool any = false;
    for (auto& [handle, stream] : driver->streams) {
        if (stream.capturing && concerns(stream)) any = stream.invalidated = true;
    }
    return any;
}
// A call that uses the stream that others wait for.
bool interrupts_blocking() {
    return interrupts([](const Stream& stream) { return stream.blocking && stream.context == here->context; });
}
// A call that no graph can have, and that is not safe beside a capture.
bool interrupts_unsafely() {
    return interrupts([](const Stream& stream) {
        return stream.mode == GLOBAL || (stream.mode == THREAD_LOCAL && stream.owner == std::this_thread::get_id());
    });
}

// Gives work to a stream: done now, or when it is waited for, or kept for a graph.
int put(Stream& stream, Work work) {
    if (stream.invalidated) return STREAM_CAPTURE_INVALIDATED;
    if (stream.capturing) {
        stream.captured.push_back(std::move(work));
        return SUCCESS;
    }
    const bool legacy = &stream == &here->legacy;
    if (legacy && interrupts_blocking()) return STREAM_CAPTURE_IMPLICIT;
    if (!driver->late) return perform(work);
    if (legacy) drain_all(true);
    if (!legacy && stream.blocking) drain(here->legacy);
    stream.late.push_back(std::move(work));
    return here->broken;
}

enum Ends { TO_DEVICE, TO_HOST, WITHIN };

int copy(u64 handle, u64 to, u64 from, std::size_t bytes, Ends ends) {
    Stream* stream = stream_of(handle);
    if (!stream) return INVALID_HANDLE;
    const auto sound = [=] {
        return (ends == TO_HOST ? on_host(to, bytes) : holds(driver->memory, to, bytes)) &&
               (ends == TO_DEVICE ? on_host(from, bytes) : holds(driver->memory, from, bytes));
    };
    if (!bytes) return SUCCESS;
    if (!sound()) return INVALID_VALUE;
    const auto pinned = [=] { return ends != WITHIN && holds(driver->pinned, ends == TO_HOST ? to : from, bytes); };
    const bool was_pinned = pinned();
    // Host memory that is not pinned has been read, or written, when the call returns.
    const bool staged = driver->late && !stream->capturing && ends != WITHIN && !was_pinned;
    std::shared_ptr<std::string> stage;
    if (staged && ends == TO_DEVICE) stage = std::make_shared<std::string>(reinterpret_cast<const char*>(from), bytes);
    const int code = put(*stream, [=] {
        if (!sound() || pinned() != was_pinned) return tell(ILLEGAL_ADDRESS, "a copy's memory is no longer there");
        std::memmove(reinterpret_cast<void*>(to), stage ? stage->data() : reinterpret_cast<const void*>(from), bytes);
        return int{SUCCESS};
    });
    return code == SUCCESS && staged && ends == TO_HOST ? drain(*stream) : code;
}

// A launch, with a copy of its parameters.
struct Launch {
    std::string name;
    const emulate::Call* call;
    unsigned blocks[3], threads;
    std::vector<std::vector<std::max_align_t>> parameters;

    int operator()() {
        std::vector<void*> values;
        for (std::size_t i = 0; i < call->count; i++) {
            values.push_back(parameters[i].data());
            u64 address = 0;
            if (!call->parameters[i].pointer) continue;
            std::memcpy(&address, values[i], sizeof(void*));
            if (address && !holds(driver->memory, address, 0) && !holds(driver->pinned, address, 0)) {
                return tell(ILLEGAL_ADDRESS, "parameter " + std::to_string(i) + " of kernel " + name +
                                                 " points to no memory of the device");
            }
        }
        driver->backwards = !driver->backwards;
        const bool done = emulate::launch(name.c_str(), *call, blocks, threads, values.data(), !driver->backwards);
        for (auto* table : {&driver->memory, &driver->pinned}) {
            for (auto& [start, memory] : *table) {
                if (memory.told || !spoiled(memory)) continue;
                memory.told = true;
                tell(SUCCESS, "kernel " + name + " wrote outside of the bounds of memory");
            }
        }
        return done ? SUCCESS : LAUNCH_FAILED;
    }
};

// What a function needs: nothing, cuInit, a current context, or that and no capture which forbids it.
enum Needs { NOTHING, INIT, CONTEXT, UNCAPTURED };

// Counts a call, and decides whether it may go on.
int enter(const char* name, Needs needs) {
    const unsigned calls = ++driver->calls[name];
    for (const Fail& fail : driver->fails) {
        if (fail.name == name && (fail.call == 0 || fail.call == calls)) return fail.code;
    }
    if (needs == NOTHING) return SUCCESS;
    if (!driver->ready) return NOT_INITIALIZED;
    if (needs == INIT) return SUCCESS;
    here = device_of(current);
    if (!here) return current > driver->opened ? CONTEXT_IS_DESTROYED : INVALID_CONTEXT;
    if (here->broken) return here->broken;
    return needs == UNCAPTURED && interrupts_unsafely() ? STREAM_CAPTURE_UNSUPPORTED : SUCCESS;
}

}  // namespace

// -DWITHOUT_name is 1 here, and makes a second argument of what is a third else.
#define PLACEHOLDER_1 0,
#define SECOND(first, second, ...) second
#define PICK(...) SECOND(__VA_ARGS__)
#define SEEN_AS(value) PICK(PLACEHOLDER_##value "hidden", "default", 0)
#define SEEN(value) SEEN_AS(value)

#define CONTROL extern "C" __attribute__((visibility("default")))
#define ENTRY(name, ...) extern "C" __attribute__((visibility(SEEN(WITHOUT_##name)))) int name(__VA_ARGS__)
#define REFUSE(condition, code) \
    if (condition) return code
#define BEGIN(needs)                               \
    const std::lock_guard<std::mutex> hold(mutex); \
    if (const int refused = enter(__func__, needs)) return refused
#define BEGIN_DEVICE(device) \
    BEGIN(INIT);             \
    REFUSE(device < 0 || static_cast<std::size_t>(device) >= driver->devices.size(), INVALID_DEVICE)

// What the stand-in for the CUDA driver remembers, and how work given to a stream is done. Included by cuda.cpp alone.
//
// Everything is behind one lock, which each function takes as it begins. Contexts and what lies in them have handles that
// are never used twice, so that a stale one is known for what it is; memory has its address.
#pragma once

#include "emulate.h"
#include "faults.h"

#include <algorithm>
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
// What is broken in a device's memory, by its offset in the first piece that is large enough.
struct Stuck { u64 offset; unsigned bit, device; u64 at; };
struct Alias { u64 offset, other; u64 start; };
struct Flip { std::string kernel; unsigned launch; u64 offset; unsigned bit; unsigned seen; };

u64 last_handle = 0xcada0000;
u64 fresh() { return last_handle += 16; }

struct Driver {
    const Settings settings = read_settings(beside(".settings"));
    const u64 opened = last_handle;
    std::size_t total = number("FAKE_CUDA_MEMORY_BYTES", 1ull << 30);
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
    std::vector<Stuck> stuck;
    std::vector<Alias> aliases;
    std::vector<Flip> flips;

    // Reads one of the variables that break something.
    void read_fault(const std::string& variable, const char* value) {
        u64 offset = 0, other = 0;
        unsigned bit = 0, device = 0, launch = 0;
        char name[64] = "";
        if (!value) return;
        if (variable == "FAKE_CUDA_STUCK_BIT" && std::sscanf(value, "%llu:%u:%u", &offset, &bit, &device) >= 2) {
            stuck.push_back({offset, bit % 8, device, 0});
        }
        if (variable == "FAKE_CUDA_ALIAS" && std::sscanf(value, "%llu:%llu", &offset, &other) == 2) {
            aliases.push_back({offset, other, 0});
        }
        if (variable == "FAKE_CUDA_FLIP" &&
            std::sscanf(value, "%63[^:]:%u:%llu:%u", name, &launch, &offset, &bit) == 4) {
            flips.push_back({name, launch, offset, bit % 8, 0});
        }
    }

    Control control;
    const Ledger ledger;

    Driver() {
        for (const char* variable : {"FAKE_CUDA_STUCK_BIT", "FAKE_CUDA_ALIAS", "FAKE_CUDA_FLIP"}) {
            read_fault(variable, text(variable));
        }
        add_fails(text("FAKE_CUDA_FAIL"), ANSWER, fails);
        add_fails(text("FAKE_CUDA_STICK"), STICK, fails);
        add_fails(text("FAKE_CUDA_HANG"), HANG, fails);
        add_fails(text("FAKE_CUDA_CRASH"), CRASH, fails);
    }

    const char* text(const char* name) const {
        const char* said = std::getenv(name);
        if (said && *said) return said;
        const auto found = settings.find(name);
        return found == settings.end() ? nullptr : found->second.c_str();
    }
    u64 number(const char* name, u64 otherwise) const {
        const char* said = text(name);
        return said ? std::strtoull(said, nullptr, 10) : otherwise;
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

// Memory that is broken takes the first piece it fits in, and another one when that is gone.
void break_memory(const Device* device, u64 start, std::size_t bytes) {
    const unsigned number = static_cast<unsigned>(device - driver->devices.data());
    for (Stuck& stuck : driver->stuck) {
        if (!stuck.at && stuck.device == number && stuck.offset < bytes) stuck.at = start + stuck.offset;
    }
    for (Alias& alias : driver->aliases) {
        if (!alias.start && std::max(alias.offset, alias.other) + 8 <= bytes) alias.start = start;
    }
}
void mend_memory(u64 start, std::size_t bytes) {
    for (Stuck& stuck : driver->stuck) {
        if (stuck.at >= start && stuck.at < start + bytes) stuck.at = 0;
    }
    for (Alias& alias : driver->aliases) {
        if (alias.start == start) alias.start = 0;
    }
}
// What is written to broken memory does not stay.
void spoil() {
    for (const Stuck& stuck : driver->stuck) {
        if (stuck.at) *reinterpret_cast<unsigned char*>(stuck.at) |= static_cast<unsigned char>(1u << stuck.bit);
    }
    for (const Alias& alias : driver->aliases) {
        if (!alias.start) continue;
        std::memcpy(reinterpret_cast<void*>(alias.start + alias.offset),
                    reinterpret_cast<const void*>(alias.start + alias.other), 8);
    }
}

int perform(const Work& work) {
    if (!here->broken) {
        here->broken = work();
        spoil();
    }
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
        for (Flip& flip : driver->flips) {
            if (flip.kernel != name || values.empty()) continue;
            if (++flip.seen != flip.launch && flip.launch != 0) continue;
            unsigned char* to = *static_cast<unsigned char**>(values[0]);
            to[flip.offset] = static_cast<unsigned char>(to[flip.offset] ^ 1u << flip.bit);
        }
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
    const Fail* met = nullptr;
    for (const Fail& fail : driver->fails) {
        if (fail.name == name && (fail.call == 0 || fail.call == calls)) met = met ? met : &fail;
    }
    if (const Fail* told = driver->control.next(name)) met = told;
    if (met && met->how == HANG) hang();
    if (met && met->how == CRASH) crash();
    if (met && met->how == ANSWER) return met->code;
    const bool naming = std::strncmp(name, "cuGetError", 10) == 0;
    if (driver->control.lost && !naming) return std::strcmp(name, "cuInit") == 0 ? NO_DEVICE : UNKNOWN;
    if (needs == NOTHING) return met ? met->code : int{SUCCESS};
    if (!driver->ready) return NOT_INITIALIZED;
    if (needs == INIT) return met ? met->code : int{SUCCESS};
    here = device_of(current);
    if (!here) return current > driver->opened ? CONTEXT_IS_DESTROYED : INVALID_CONTEXT;
    if (met && !here->broken) here->broken = met->code;
    if (here->broken) return here->broken;
    return needs == UNCAPTURED && interrupts_unsafely() ? STREAM_CAPTURE_UNSUPPORTED : SUCCESS;
}

// Memory of all devices that this process holds.
std::size_t held() {
    std::size_t sum = 0;
    for (const Device& device : driver->devices) sum += device.used;
    return sum;
}
std::size_t free_here() {
    const std::size_t taken = here->used + driver->ledger.others();
    return taken < driver->total ? driver->total - taken : 0;
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

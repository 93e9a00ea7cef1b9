// A stand-in for the CUDA driver library, for tests on machines without a GPU: kernels run through emulate.h, device memory
// is the host's, and what the driver refuses is refused, with the driver's codes. Needs no header of the vendor.
//
// What the environment chooses, or a file beside the library (faults.h), read when it is loaded and by fake_cuda_restart:
//   FAKE_CUDA_DEVICES=n        how many devices (1); with none, cuInit answers CUDA_ERROR_NO_DEVICE
//   FAKE_CUDA_MEMORY_BYTES=n   memory of each device (1 GiB)
//   FAKE_CUDA_CAPABILITY=nn    compute capability of each device (90)
//   FAKE_CUDA_FAIL=name:code:k the k-th call of this function answers this code; every call without k; more after a comma
//   FAKE_CUDA_STUCK_BIT=n:b:d  bit b of byte n of the first memory of device d (0) that is larger is always 1
//   FAKE_CUDA_ALIAS=n:m        the eight bytes at n of that memory always hold what those at m hold
//   FAKE_CUDA_FLIP=name:k:n:b  the k-th launch of a kernel, or each with 0, leaves bit b of byte n of its first parameter wrong
//   FAKE_CUDA_STICK, _HANG, _CRASH  other ways to fail, see faults.h; a file may choose them while the library runs
//   FAKE_CUDA_LATE=1           a stream's work is done when something waits for it, not when it is given
// What tests choose while they run: devices.h. Compiled with -DWITHOUT_name, the library does not export that function.
//
// Fresh memory is full of 0xff, and has guards before and after it: a kernel that wrote there is told on stderr, and the
// free answers CUDA_ERROR_ILLEGAL_ADDRESS. A launch may only be given null or pointers to live memory. After a launch or a
// copy went wrong, its context answers that error until it is released, as the driver's does. Blocks have one dimension.
#include "devices.h"

// --- Contexts.

ENTRY(cuDevicePrimaryCtxRetain, u64* out, int device) {
    BEGIN_DEVICE(device);
    REFUSE(!out, INVALID_VALUE);
    Device& one = driver->devices[static_cast<std::size_t>(device)];
    if (one.retained++ == 0) one.context = one.legacy.context = fresh();
    *out = one.context;
    return SUCCESS;
}

template <class Table>
static void forget(Table& table, u64 context) {
    for (auto i = table.begin(); i != table.end();) i = i->second.context == context ? table.erase(i) : std::next(i);
}

ENTRY(cuDevicePrimaryCtxRelease_v2, int device) {
    BEGIN_DEVICE(device);
    here = &driver->devices[static_cast<std::size_t>(device)];
    REFUSE(here->retained == 0, INVALID_CONTEXT);
    if (--here->retained > 0) return SUCCESS;
    drain_all();
    int code = SUCCESS;
    for (auto* table : {&driver->memory, &driver->pinned}) {
        for (auto i = table->begin(); i != table->end();) {
            const auto piece = i++;
            if (piece->second.context != here->context) continue;
            mend_memory(piece->first, piece->second.bytes);
            if (const int bad = let_go(*table, piece)) code = bad;
        }
    }
    forget(driver->streams, here->context);
    forget(driver->graphs, here->context);
    forget(driver->executables, here->context);
    forget(driver->events, here->context);
    forget(driver->modules, here->context);
    forget(driver->functions, here->context);
    *here = Device();
    driver->ledger.post(held());
    return code;
}

ENTRY(cuCtxSetCurrent, u64 context) {
    BEGIN(INIT);
    REFUSE(context && !device_of(context), INVALID_CONTEXT);
    current = context;
    return SUCCESS;
}

ENTRY(cuCtxSynchronize, void) {
    BEGIN(UNCAPTURED);
    return drain_all();
}

// --- Memory.

ENTRY(cuMemGetInfo_v2, std::size_t* free, std::size_t* total) {
    BEGIN(CONTEXT);
    REFUSE(!free || !total, INVALID_VALUE);
    *total = driver->total;
    *free = free_here();
    return SUCCESS;
}

ENTRY(cuMemAlloc_v2, u64* out, std::size_t bytes) {
    BEGIN(UNCAPTURED);
    REFUSE(!out || !bytes, INVALID_VALUE);
    REFUSE(bytes > free_here(), OUT_OF_MEMORY);
    const int code = allocate(driver->memory, bytes, out);
    if (code == SUCCESS) {
        here->used += bytes;
        break_memory(here, *out, bytes);
    }
    driver->ledger.post(held());
    return code;
}

ENTRY(cuMemFree_v2, u64 address) {
    BEGIN(UNCAPTURED);
    if (!address) return SUCCESS;
    REFUSE(!find(driver->memory, address), INVALID_VALUE);
    const int before = drain_all();
    const auto piece = driver->memory.find(address);
    here->used -= piece->second.bytes;
    mend_memory(piece->first, piece->second.bytes);
    driver->ledger.post(held());
    const int code = let_go(driver->memory, piece);
    return before ? before : code;
}

ENTRY(cuMemHostAlloc, void** out, std::size_t bytes, unsigned flags) {
    BEGIN(UNCAPTURED);
    REFUSE(!out || !bytes || flags > 7, INVALID_VALUE);
    u64 address = 0;
    const int code = allocate(driver->pinned, bytes, &address);
    *out = reinterpret_cast<void*>(address);
    return code;
}

ENTRY(cuMemFreeHost, void* address) {
    BEGIN(UNCAPTURED);
    REFUSE(!find(driver->pinned, reinterpret_cast<u64>(address)), INVALID_VALUE);
    const int before = drain_all();
    const int code = let_go(driver->pinned, driver->pinned.find(reinterpret_cast<u64>(address)));
    return before ? before : code;
}

ENTRY(cuMemcpyHtoDAsync_v2, u64 to, const void* from, std::size_t bytes, u64 stream) {
    BEGIN(CONTEXT);
    return copy(stream, to, reinterpret_cast<u64>(from), bytes, TO_DEVICE);
}

ENTRY(cuMemcpyDtoHAsync_v2, void* to, u64 from, std::size_t bytes, u64 stream) {
    BEGIN(CONTEXT);
    return copy(stream, reinterpret_cast<u64>(to), from, bytes, TO_HOST);
}

ENTRY(cuMemcpyDtoDAsync_v2, u64 to, u64 from, std::size_t bytes, u64 stream) {
    BEGIN(CONTEXT);
    return copy(stream, to, from, bytes, WITHIN);
}

ENTRY(cuMemsetD8Async, u64 to, unsigned char value, std::size_t bytes, u64 stream) {
    BEGIN(CONTEXT);
    Stream* found = stream_of(stream);
    REFUSE(!found, INVALID_HANDLE);
    if (!bytes) return SUCCESS;
    REFUSE(!holds(driver->memory, to, bytes), INVALID_VALUE);
    return put(*found, [=] {
        if (!holds(driver->memory, to, bytes)) return tell(ILLEGAL_ADDRESS, "memory to be filled is no longer there");
        std::memset(reinterpret_cast<void*>(to), value, bytes);
        return int{SUCCESS};
    });
}

// --- Streams, and graphs of what was given to one.

ENTRY(cuStreamCreate, u64* out, unsigned flags) {
    BEGIN(CONTEXT);
    REFUSE(!out || flags > 1, INVALID_VALUE);
    Stream& stream = driver->streams[*out = fresh()];
    stream.context = here->context;
    stream.blocking = flags == 0;
    return SUCCESS;
}

ENTRY(cuStreamDestroy_v2, u64 stream) {
    BEGIN(CONTEXT);
    REFUSE(!stream || !stream_of(stream), INVALID_HANDLE);
    drain(*stream_of(stream));
    driver->streams.erase(stream);
    return here->broken;
}

ENTRY(cuStreamSynchronize, u64 stream) {
    BEGIN(CONTEXT);
    Stream* found = stream_of(stream);
    REFUSE(!found, INVALID_HANDLE);
    REFUSE(!stream && interrupts_blocking(), STREAM_CAPTURE_IMPLICIT);
    if (found->capturing) {
        found->invalidated = true;
        return STREAM_CAPTURE_UNSUPPORTED;
    }
    if (!stream) drain_all(true);
    return drain(*found);
}

ENTRY(cuStreamBeginCapture_v2, u64 stream, int mode) {
    BEGIN(CONTEXT);
    Stream* found = stream_of(stream);
    REFUSE(!found, INVALID_HANDLE);
    REFUSE(mode < GLOBAL || mode > RELAXED, INVALID_VALUE);
    REFUSE(!stream, STREAM_CAPTURE_UNSUPPORTED);
    REFUSE(found->capturing, ILLEGAL_STATE);
    found->capturing = true;
    found->mode = mode;
    found->owner = std::this_thread::get_id();
    return SUCCESS;
}

ENTRY(cuStreamEndCapture, u64 stream, u64* graph) {
    BEGIN(CONTEXT);
    Stream* found = stream_of(stream);
    REFUSE(!found, INVALID_HANDLE);
    REFUSE(!graph, INVALID_VALUE);
    *graph = 0;
    REFUSE(!found->capturing, ILLEGAL_STATE);
    REFUSE(found->mode != RELAXED && found->owner != std::this_thread::get_id(), STREAM_CAPTURE_WRONG_THREAD);
    const bool invalidated = found->invalidated;
    std::vector<Work> works = std::move(found->captured);
    found->captured.clear();
    found->capturing = found->invalidated = false;
    REFUSE(invalidated, STREAM_CAPTURE_INVALIDATED);
    driver->graphs[*graph = fresh()] = {here->context, std::move(works)};
    return SUCCESS;
}

ENTRY(cuGraphInstantiateWithFlags, u64* out, u64 graph, u64 flags) {
    BEGIN(CONTEXT);
    const Graph* found = find(driver->graphs, graph);
    REFUSE(!out || !found || (flags & ~11ull), INVALID_VALUE);
    driver->executables[*out = fresh()] = *found;
    return SUCCESS;
}

ENTRY(cuGraphLaunch, u64 executable, u64 stream) {
    BEGIN(CONTEXT);
    const Graph* found = find(driver->executables, executable);
    REFUSE(!found, INVALID_VALUE);
    REFUSE(!stream_of(stream), INVALID_HANDLE);
    for (const Work& work : found->works) {
        if (const int code = put(*stream_of(stream), work)) return code;
    }
    return SUCCESS;
}

ENTRY(cuGraphDestroy, u64 graph) {
    BEGIN(CONTEXT);
    REFUSE(!find(driver->graphs, graph), INVALID_VALUE);
    driver->graphs.erase(graph);
    return SUCCESS;
}

ENTRY(cuGraphExecDestroy, u64 executable) {
    BEGIN(CONTEXT);
    REFUSE(!find(driver->executables, executable), INVALID_VALUE);
    driver->executables.erase(executable);
    return SUCCESS;
}

// --- Modules and launches.

// Whether an ELF file is for the devices that there are: the lowest byte of its flags, which lie at byte 48, names the
// instruction set; with NVIDIA's ABI 8 the second.
static bool is_for_this(const char* image) {
    const auto byte = [&](int at) { return static_cast<unsigned char>(image[at]); };
#ifdef ONLY_AMD
    const char* machine = std::getenv("FAKE_HIP_MACHINE");
    return byte(48) == (machine ? std::strtol(machine, nullptr, 0) : 0x41);
#else
    return byte(byte(8) == 8 ? 49 : 48) == driver->capability;
#endif
}

ENTRY(cuModuleLoadData, u64* out, const char* image) {
    BEGIN(UNCAPTURED);
    REFUSE(!out || !image, INVALID_VALUE);
    const auto begins = [&](const char* with) { return std::strncmp(image, with, std::strlen(with)) == 0; };
    const bool text = begins("//") || begins(".version");
    REFUSE(!text && !begins("\177ELF"), INVALID_IMAGE);
    REFUSE(!text && !is_for_this(image), NO_BINARY_FOR_GPU);
    // Text ends with a zero, which the driver looks for; what is no text comes before it if it was forgotten.
    for (const char* at = image; text && *at; at++) {
        REFUSE((*at < ' ' || *at > '~') && !std::strchr("\t\n\r\f\v", *at), INVALID_PTX);
    }
    driver->modules[*out = fresh()] = {here->context};
    return SUCCESS;
}

ENTRY(cuModuleUnload, u64 module) {
    BEGIN(UNCAPTURED);
    REFUSE(!find(driver->modules, module), INVALID_HANDLE);
    driver->modules.erase(module);
    for (auto i = driver->functions.begin(); i != driver->functions.end();) {
        i = i->second.module == module ? driver->functions.erase(i) : std::next(i);
    }
    return SUCCESS;
}

ENTRY(cuModuleGetFunction, u64* out, u64 module, const char* name) {
    BEGIN(CONTEXT);
    REFUSE(!out || !name, INVALID_VALUE);
    REFUSE(!find(driver->modules, module), INVALID_HANDLE);
    const emulate::Call* call = emulate::find(name);
    REFUSE(!call, NOT_FOUND);
    driver->functions[*out = fresh()] = {here->context, module, name, call, usual_shared};
    return SUCCESS;
}

ENTRY(cuFuncSetAttribute, u64 function, int attribute, int value) {
    BEGIN(CONTEXT);
    Function* found = find(driver->functions, function);
    REFUSE(!found, INVALID_HANDLE);
    const int most = attribute == 8 ? static_cast<int>(most_shared) : 100;
    REFUSE((attribute != 8 && attribute != 9) || value > most || value < (attribute == 8 ? 0 : -1), INVALID_VALUE);
    if (attribute == 8) found->shared = static_cast<unsigned>(value);
    return SUCCESS;
}

ENTRY(cuLaunchKernel, u64 function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
      unsigned threads_y, unsigned threads_z, unsigned shared, u64 stream, void** parameters, void** extra) {
    BEGIN(CONTEXT);
    const Function* found = find(driver->functions, function);
    REFUSE(!found || !stream_of(stream), INVALID_HANDLE);
    REFUSE(blocks_x - 1 > 0x7ffffffe || blocks_y - 1 > 65534 || blocks_z - 1 > 65534, INVALID_VALUE);
    REFUSE(threads_x - 1 > 1023 || threads_y == 0 || threads_z == 0 || shared > found->shared, INVALID_VALUE);
    REFUSE(threads_y > 1 || threads_z > 1, tell(NOT_SUPPORTED, "blocks have one dimension here"));
    REFUSE(extra, tell(NOT_SUPPORTED, "parameters are passed one by one here"));
    REFUSE(found->call->count && !parameters, INVALID_VALUE);
    Launch launch{found->name, found->call, {blocks_x, blocks_y, blocks_z}, threads_x, {}};
    for (std::size_t i = 0; i < found->call->count; i++) {
        const std::size_t bytes = found->call->parameters[i].bytes;
        REFUSE(!parameters[i], INVALID_VALUE);
        launch.parameters.emplace_back(bytes / sizeof(std::max_align_t) + 1);
        std::memcpy(launch.parameters.back().data(), parameters[i], bytes);
    }
    return put(*stream_of(stream), std::move(launch));
}

// --- Events.

ENTRY(cuEventCreate, u64* out, unsigned flags) {
    BEGIN(CONTEXT);
    REFUSE(!out || flags > 7, INVALID_VALUE);
    Event& event = driver->events[*out = fresh()];
    event.context = here->context;
    event.timing = !(flags & 2);
    return SUCCESS;
}

ENTRY(cuEventRecord, u64 event, u64 stream) {
    BEGIN(CONTEXT);
    Event* found = find(driver->events, event);
    REFUSE(!found || !stream_of(stream), INVALID_HANDLE);
    const bool captured = stream_of(stream)->capturing;
    found->state = captured ? Event::CAPTURED : Event::WAITING;
    found->stream = stream;
    const unsigned record = ++found->records;
    return captured ? SUCCESS : put(*stream_of(stream), [=] {
        Event* then = find(driver->events, event);
        if (!then || then->records != record) return SUCCESS;
        then->state = Event::PASSED;
        then->time = Clock::now();
        return SUCCESS;
    });
}

ENTRY(cuEventSynchronize, u64 event) {
    BEGIN(CONTEXT);
    const Event* found = find(driver->events, event);
    REFUSE(!found, INVALID_HANDLE);
    REFUSE(found->state == Event::CAPTURED, CAPTURED_EVENT);
    if (Stream* stream = stream_of(found->stream)) {
        for (; found->state == Event::WAITING && !stream->late.empty(); stream->late.pop_front()) {
            perform(stream->late.front());
        }
    }
    return here->broken;
}

ENTRY(cuEventElapsedTime, float* out, u64 start, u64 end) {
    BEGIN(CONTEXT);
    const Event *first = find(driver->events, start), *last = find(driver->events, end);
    REFUSE(!out, INVALID_VALUE);
    REFUSE(!first || !last || !first->timing || !last->timing, INVALID_HANDLE);
    REFUSE(first->state < Event::WAITING || last->state < Event::WAITING, INVALID_HANDLE);
    REFUSE(first->state != Event::PASSED || last->state != Event::PASSED, NOT_READY);
    *out = std::chrono::duration<float, std::milli>(last->time - first->time).count();
    return SUCCESS;
}

ENTRY(cuEventDestroy_v2, u64 event) {
    BEGIN(CONTEXT);
    REFUSE(!find(driver->events, event), INVALID_HANDLE);
    driver->events.erase(event);
    return SUCCESS;
}

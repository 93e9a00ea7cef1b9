// What needs no context: the library, its devices, the names of errors, and what tests ask and choose. Included by cuda.cpp
// alone.
#pragma once

#include "driver.h"

// --- What tests ask and choose.

// Call number `call` of a function, counted from 1, answers `code`; every call if `call` is 0. Code 0: none fails any more.
CONTROL void fake_cuda_fail(const char* name, int code, int call) {
    const std::lock_guard<std::mutex> hold(mutex);
    auto& fails = driver->fails;
    for (std::size_t i = fails.size(); i-- > 0;) {
        if (fails[i].name == name && (code == SUCCESS || fails[i].call == static_cast<unsigned>(call))) {
            fails.erase(fails.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    if (code != SUCCESS) fails.push_back({name, code, static_cast<unsigned>(call), ANSWER, false});
}

// No call fails any more, not for the environment either, and calls are counted from none. What there is stays.
CONTROL void fake_cuda_reset(void) {
    const std::lock_guard<std::mutex> hold(mutex);
    driver->fails.clear();
    driver->calls.clear();
    driver->backwards = false;
}

// As if the library were loaded anew: nothing is left of what there was, and the environment is read.
CONTROL void fake_cuda_restart(void) {
    const std::lock_guard<std::mutex> hold(mutex);
    delete driver;
    driver = new Driver;
    current = 0;
}

// From now on each device has so much memory, and what this variable of the environment says is broken; null mends all.
CONTROL void fake_cuda_break(const char* variable, const char* value, u64 memory_bytes) {
    const std::lock_guard<std::mutex> hold(mutex);
    driver->total = memory_bytes;
    driver->stuck.clear();
    driver->aliases.clear();
    driver->flips.clear();
    if (variable) driver->read_fault(variable, value);
}

// Memory of devices that was asked for and is not freed.
CONTROL u64 fake_cuda_allocated_bytes(void) {
    const std::lock_guard<std::mutex> hold(mutex);
    return held();
}

// How often a function was called, failures and refusals included.
CONTROL unsigned fake_cuda_calls(const char* name) {
    const std::lock_guard<std::mutex> hold(mutex);
    const auto found = driver->calls.find(name);
    return found == driver->calls.end() ? 0 : found->second;
}

// --- The library and its devices.

ENTRY(cuGetErrorName, int code, const char** out) {
    BEGIN(NOTHING);
    REFUSE(!out, INVALID_VALUE);
    *out = nullptr;
#define CODE(name, number) \
    if (code == number) *out = "CUDA_ERROR_" #name;
    CODES(CODE)
#undef CODE
    if (code == SUCCESS) *out = "CUDA_SUCCESS";
    return *out ? SUCCESS : INVALID_VALUE;
}

ENTRY(cuGetErrorString, int code, const char** out) {
    BEGIN(NOTHING);
    REFUSE(!out, INVALID_VALUE);
    *out = nullptr;
#define CODE(name, number) \
    if (code == number) *out = "the stand-in answers " #name;
    CODES(CODE)
#undef CODE
    if (code == SUCCESS) *out = "no error";
    return *out ? SUCCESS : INVALID_VALUE;
}

ENTRY(cuInit, unsigned flags) {
    BEGIN(NOTHING);
    REFUSE(flags, INVALID_VALUE);
    REFUSE(driver->devices.empty(), NO_DEVICE);
    driver->ready = true;
    return SUCCESS;
}

ENTRY(cuDriverGetVersion, int* out) {
    BEGIN(NOTHING);
    REFUSE(!out, INVALID_VALUE);
    *out = 12080;
    return SUCCESS;
}

ENTRY(cuDeviceGetCount, int* out) {
    BEGIN(INIT);
    REFUSE(!out, INVALID_VALUE);
    *out = static_cast<int>(driver->devices.size());
    return SUCCESS;
}

ENTRY(cuDeviceGet, int* out, int ordinal) {
    BEGIN_DEVICE(ordinal);
    REFUSE(!out, INVALID_VALUE);
    *out = ordinal;
    return SUCCESS;
}

ENTRY(cuDeviceGetName, char* out, int size, int device) {
    BEGIN_DEVICE(device);
    REFUSE(!out || size <= 0, INVALID_VALUE);
    std::snprintf(out, static_cast<std::size_t>(size), "Emulated device %d", device);
    return SUCCESS;
}

// The same as the stand-in for the management library gives its devices.
ENTRY(cuDeviceGetUuid_v2, unsigned char* out, int device) {
    BEGIN_DEVICE(device);
    REFUSE(!out, INVALID_VALUE);
    const unsigned char uuid[16] = {0x0a, 0xa1, 0xb2, 0xc3, 0,    0,    0x11, 0x11,
                                    0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55};
    std::memcpy(out, uuid, sizeof uuid);
    out[0] = static_cast<unsigned char>(out[0] + (device << 4));
    return SUCCESS;
}

ENTRY(cuDeviceTotalMem_v2, std::size_t* out, int device) {
    BEGIN_DEVICE(device);
    REFUSE(!out, INVALID_VALUE);
    *out = driver->total;
    return SUCCESS;
}

ENTRY(cuDeviceGetAttribute, int* out, int attribute, int device) {
    BEGIN_DEVICE(device);
    REFUSE(!out || attribute < 1 || attribute > 150, INVALID_VALUE);
    static const std::map<int, int> known = {
        {1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {5, 2147483647}, {6, 65535}, {7, 65535},  // threads, blocks
        {8, usual_shared}, {9, 65536}, {10, emulate::group}, {11, 2147483647}, {12, 65536},  // shared, constant, group
        {13, 1980000}, {16, 132}, {19, 1}, {31, 1}, {32, 1}, {36, 2619000}, {37, 5120},     // clocks, processors, bus
        {38, 52428800}, {39, 2048}, {40, 3}, {41, 1}, {81, 233472}, {82, 65536}, {83, 1},    // L2, per processor
        {97, most_shared}, {106, 32},                                                        // shared if asked for
    };
    const auto found = known.find(attribute);
    *out = found == known.end() ? 0 : found->second;
    if (attribute == 33) *out = device == 0 ? 0x3b : 0xaf;  // PCI bus
    if (attribute == 75) *out = driver->capability / 10;
    if (attribute == 76) *out = driver->capability % 10;
    return SUCCESS;
}

/* A stand-in for NVIDIA's management library, for tests and measurements on machines without a GPU.
 *
 * Two devices: 0 looks like an H100 (ECC, NVLink, GPM, no fan), 1 like a desktop card (fan, retired
 * pages, none of these). No two figures of device 0 are alike, so that none can stand for another.
 * What goes wrong is chosen when it is compiled:
 *   -DINIT=n             nvmlInit answers n
 *   -DLOST_AFTER=n       device 0 falls off the bus at its n-th utilisation query
 *   -DLOST_FIRST=n       device 0 does not answer the first n times its handle is asked for
 *   -DTHROTTLE=bits      device 0 is held back by these reasons
 *   -DUNCORRECTED=n      device 0 has had n uncorrected errors
 *   -DROW_PENDING=1      device 0 has a row that waits to be replaced
 *   -DLINK_DOWN_AFTER=n  link 1 of device 0 goes down at the n-th time it is asked for
 *   -DCRC_GROWS=n        the links of device 0 count n wrong checksums of either kind more each time
 *   -DMIG=1              device 0 is cut into partitions 0 and 2
 *   -DGARBAGE=1          device 0 tells nonsense: endless lists, shares beyond 100 %, no numbers;
 *   -DGARBAGE=2          the same, but lists are claimed to be written
 *   -DNO_NUL=1           the texts of devices do not end
 *   -DQUIET=1            calls are neither written down nor failed: for measuring
 *   -Dfunction=gone      the library lacks the function
 * Each call writes the function's name and the device's number (-1 for none) as a line to the
 * library's path followed by `.calls`. The lines of the path followed by `.fail` name a function
 * and what it answers instead, of device 0 alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef INIT
#define INIT 0
#endif
#ifndef LOST_AFTER
#define LOST_AFTER 0
#endif
#ifndef LOST_FIRST
#define LOST_FIRST 0
#endif
#ifndef THROTTLE
#define THROTTLE 4 /* software power cap */
#endif
#ifndef UNCORRECTED
#define UNCORRECTED 0
#endif
#ifndef ROW_PENDING
#define ROW_PENDING 0
#endif
#ifndef LINK_DOWN_AFTER
#define LINK_DOWN_AFTER 0
#endif
#ifndef CRC_GROWS
#define CRC_GROWS 0
#endif
#ifndef MIG
#define MIG 0
#endif
#ifndef GARBAGE
#define GARBAGE 0
#endif
#ifndef NO_NUL
#define NO_NUL 0
#endif
#ifndef QUIET
#define QUIET 0
#endif

enum {
    SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, GPU_IS_LOST = 15
};

typedef struct { int number; } device;
typedef unsigned long long u64;

static device devices[2] = {{0}, {1}}, partitions[2] = {{10}, {12}};
static int handle_queries, utilisation_queries, link_queries, error_queries, samples_taken;

#define IS_H100(d) ((d)->number == 0)
#define LOST(d) (IS_H100(d) && LOST_AFTER && utilisation_queries >= LOST_AFTER)
#define ANSWERS(d) do { \
    int failed = enter(__func__, (d)->number); \
    if (failed) return failed; \
    if (LOST(d)) return GPU_IS_LOST; \
} while (0)
#define ONLY_H100(d) do { ANSWERS(d); if (!IS_H100(d)) return NOT_SUPPORTED; } while (0)
#define SYSTEM() do { int failed = enter(__func__, -1); if (failed) return failed; } while (0)

/* Writes the call down, and looks whether it is to fail. */
static int enter(const char *function, int number) {
    if (QUIET) return SUCCESS;
    static char calls[4096], fail[4096];
    if (!calls[0]) {
        Dl_info self;
        if (!dladdr((void *)enter, &self)) abort();
        snprintf(calls, sizeof calls, "%s.calls", self.dli_fname);
        snprintf(fail, sizeof fail, "%s.fail", self.dli_fname);
    }
    char line[256];
    int length = snprintf(line, sizeof line, "%s %d\n", function, number);
    int file = open(calls, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0 || write(file, line, length) != length) abort();
    close(file);
    int answer = SUCCESS, code;
    FILE *failing = number == 1 ? 0 : fopen(fail, "r");
    if (!failing) return SUCCESS;
    while (fscanf(failing, "%255s %d", line, &code) == 2)
        if (!strcmp(line, function)) answer = code;
    fclose(failing);
    return answer;
}

static int text(char *out, unsigned size, const char *value) {
    if (strlen(value) + 1 > size) return TOO_SMALL;
    strcpy(out, value);
    return SUCCESS;
}
static int device_text(char *out, unsigned size, const char *value) {
    if (!NO_NUL) return text(out, size, value);
    memset(out, 'A', size);
    return SUCCESS;
}

int nvmlInit_v2(void) { return INIT; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlSystemGetDriverVersion(char *out, unsigned n) { return text(out, n, "580.95.05"); }
int nvmlSystemGetNVMLVersion(char *out, unsigned n) { return text(out, n, "13.580.95.05"); }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 13000; return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned i, device **out) {
    if (i > 1) return INVALID;
    if (i == 0 && handle_queries++ < LOST_FIRST) return GPU_IS_LOST;
    ANSWERS(&devices[i]);
    *out = &devices[i];
    return SUCCESS;
}

/* Who it is. */

int nvmlDeviceGetName(device *d, char *out, unsigned n) {
    ANSWERS(d);
    return device_text(out, n, IS_H100(d) ? "NVIDIA H100 80GB HBM3" : "NVIDIA GeForce RTX 4090");
}
int nvmlDeviceGetUUID(device *d, char *out, unsigned n) {
    ANSWERS(d);
    if (d->number == 10) return text(out, n, "MIG-0aa1b2c3-0000-1111-2222-333344445555");
    if (d->number == 12) return text(out, n, "MIG-2aa1b2c3-0000-1111-2222-333344445555");
    return device_text(out, n, IS_H100(d) ? "GPU-0aa1b2c3-0000-1111-2222-333344445555"
                                          : "GPU-1aa1b2c3-0000-1111-2222-333344445555");
}
int nvmlDeviceGetSerial(device *d, char *out, unsigned n) {
    ONLY_H100(d);
    return device_text(out, n, "1652823004711");
}
int nvmlDeviceGetBoardPartNumber(device *d, char *out, unsigned n) {
    ONLY_H100(d);
    return device_text(out, n, "900-21010-0000-000");
}
int nvmlDeviceGetVbiosVersion(device *d, char *out, unsigned n) {
    ANSWERS(d);
    return device_text(out, n, IS_H100(d) ? "96.00.99.00.01" : "95.02.18.80.87");
}
int nvmlDeviceGetGspFirmwareVersion(device *d, char *out) {
    ONLY_H100(d);
    return device_text(out, 64, "580.95.05-gsp");
}
int nvmlDeviceGetMinorNumber(device *d, unsigned *n) {
    ANSWERS(d);
    *n = IS_H100(d) ? 3 : 4;
    return SUCCESS;
}
int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) {
    ANSWERS(d);
    *major = IS_H100(d) ? 9 : 8;
    *minor = IS_H100(d) ? 0 : 9;
    return SUCCESS;
}
int nvmlDeviceGetArchitecture(device *d, unsigned *a) {
    ANSWERS(d);
    *a = IS_H100(d) ? 9 : 8;
    return SUCCESS;
}
int nvmlDeviceGetNumGpuCores(device *d, unsigned *n) {
    ANSWERS(d);
    *n = IS_H100(d) ? 16896 : 16384;
    return SUCCESS;
}
int nvmlDeviceGetMemoryBusWidth(device *d, unsigned *n) {
    ANSWERS(d);
    *n = IS_H100(d) ? 5120 : 384;
    return SUCCESS;
}
int nvmlDeviceGetNumaNodeId(device *d, unsigned *n) { ONLY_H100(d); *n = 2; return SUCCESS; }
int nvmlDeviceGetCpuAffinity(device *d, unsigned size, unsigned long *set) {
    ONLY_H100(d);
    if (size < 2) return TOO_SMALL;
    memset(set, GARBAGE ? 0xff : 0, size * sizeof *set);
    if (!GARBAGE) set[0] = 0xfff6;
    return SUCCESS;
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, pci_device, pci_subsystem;
    char id[32];
} pci;
int nvmlDeviceGetPciInfo_v3(device *d, pci *out) {
    ANSWERS(d);
    memset(out, NO_NUL ? 'A' : 0, sizeof *out);
    out->domain = out->device = 0;
    out->bus = IS_H100(d) ? 0x3b : 0xaf;
    return SUCCESS;
}

/* What its units do. */

#define ENGINE(name, busy) \
    int name(device *d, unsigned *percent, unsigned *period) { \
        ONLY_H100(d); \
        *percent = GARBAGE ? 4000000000u : busy; \
        *period = 167000; \
        return SUCCESS; \
    }
ENGINE(nvmlDeviceGetEncoderUtilization, 11)
ENGINE(nvmlDeviceGetDecoderUtilization, 12)
ENGINE(nvmlDeviceGetJpgUtilization, 13)
ENGINE(nvmlDeviceGetOfaUtilization, 14)

int nvmlDeviceGetUtilizationRates(device *d, unsigned out[2]) {
    if (IS_H100(d)) utilisation_queries++;
    ANSWERS(d);
    out[0] = IS_H100(d) ? 97 : 0;
    out[1] = IS_H100(d) ? 61 : 0;
    if (GARBAGE) out[0] = out[1] = 101;
    return SUCCESS;
}

typedef struct { unsigned version, supported; } gpm_support;
int nvmlGpmQueryDeviceSupport(device *d, gpm_support *s) {
    ANSWERS(d);
    s->supported = IS_H100(d);
    return SUCCESS;
}
int nvmlGpmSampleAlloc(int **sample) {
    SYSTEM();
    *sample = calloc(1, sizeof **sample);
    return SUCCESS;
}
int nvmlGpmSampleFree(int *sample) {
    enter(__func__, -1);
    free(sample);
    return SUCCESS;
}
int nvmlGpmSampleGet(device *d, int *sample) {
    ONLY_H100(d);
    *sample = ++samples_taken;
    return SUCCESS;
}
typedef struct {
    unsigned version, count;
    int *older, *newer;
    struct { unsigned id; int result; double value; const char *names[3]; } metrics[210];
} gpm_metrics;
int nvmlGpmMetricsGet(gpm_metrics *m) {
    SYSTEM();
    if (m->version != 1 || m->count > 210) return INVALID;
    if (*m->newer != *m->older + 1) return INVALID;
    for (unsigned i = 0; i < m->count; i++) {
        double nonsense[4] = {NAN, -1, 1e300, INFINITY};
        m->metrics[i].value = GARBAGE ? nonsense[i % 4] : m->metrics[i].id + 0.5;
        m->metrics[i].names[0] = (const char *)1;
        /* This one, of all, is not measured on this board. */
        m->metrics[i].result = m->metrics[i].id == 6 ? NOT_SUPPORTED : SUCCESS;
    }
    return SUCCESS;
}

typedef struct { u64 reference_us, violated_ns; } violation;
int nvmlDeviceGetViolationStatus(device *d, int policy, violation *v) {
    ONLY_H100(d);
    v->reference_us = 1;
    v->violated_ns = policy * 1000000000ull + 500000000ull;
    return SUCCESS;
}

/* Memory and power. */

typedef struct { unsigned version; u64 total, reserved, free, used; } memory;
int nvmlDeviceGetMemoryInfo_v2(device *d, memory *m) {
    ANSWERS(d);
    if (m->version != (sizeof *m | 2 << 24)) return INVALID;
    if (d->number >= 10) {
        m->total = (u64)d->number << 30;
        m->free = m->total - (3u << 20);
        return SUCCESS;
    }
    m->total = IS_H100(d) ? 85520809984ull : 25757220864ull;
    m->reserved = 500 << 20;
    m->used = 40ull << 30;
    if (!IS_H100(d)) m->used = 1 << 30;
    m->free = m->total - m->reserved - m->used;
    if (GARBAGE) m->free = ~0ull;
    return SUCCESS;
}
int nvmlDeviceGetBAR1MemoryInfo(device *d, u64 out[3]) { /* total, free, used */
    ANSWERS(d);
    out[0] = 131072ull << 20;
    out[1] = 131068ull << 20;
    out[2] = 4ull << 20;
    return SUCCESS;
}

#define POWER(name, h100, desktop) \
    int name(device *d, unsigned *mw) { \
        ANSWERS(d); \
        *mw = GARBAGE ? 4294967295u : IS_H100(d) ? h100 : desktop; \
        return SUCCESS; \
    }
POWER(nvmlDeviceGetPowerUsage, 683214, 21500)
POWER(nvmlDeviceGetEnforcedPowerLimit, 700000, 450000)
POWER(nvmlDeviceGetPowerManagementLimit, 702000, 450000)
POWER(nvmlDeviceGetPowerManagementDefaultLimit, 703000, 450000)
int nvmlDeviceGetPowerManagementLimitConstraints(device *d, unsigned *low, unsigned *high) {
    ANSWERS(d);
    *low = 200000;
    *high = IS_H100(d) ? 704000 : 600000;
    return SUCCESS;
}
int nvmlDeviceGetTotalEnergyConsumption(device *d, u64 *mj) {
    ANSWERS(d);
    *mj = 9876543210ull;
    return SUCCESS;
}

/* Heat and clocks. */

int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *t) {
    ANSWERS(d);
    *t = IS_H100(d) ? 64 : 38;
    if (GARBAGE) *t = 0x80000000u;
    return SUCCESS;
}
int nvmlDeviceGetTemperatureThreshold(device *d, int kind, unsigned *t) {
    ANSWERS(d);
    unsigned thresholds[] = {95, 92, 105, 87};
    if (kind < 0 || kind > 3) return INVALID;
    *t = thresholds[kind];
    return SUCCESS;
}
int nvmlDeviceGetFanSpeed_v2(device *d, unsigned fan, unsigned *percent) {
    ANSWERS(d);
    if (IS_H100(d)) return NOT_SUPPORTED;
    *percent = 30;
    return SUCCESS;
}
typedef struct { unsigned version, fan, speed; } fan_speed;
int nvmlDeviceGetFanSpeedRPM(device *d, fan_speed *f) {
    ANSWERS(d);
    if (IS_H100(d)) return NOT_SUPPORTED;
    f->speed = 1450;
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(device *d, int clock, unsigned *mhz) {
    ANSWERS(d);
    unsigned clocks[] = {1740, 1755, 2593, 1545};
    if (clock < 0 || clock > 3) return INVALID;
    *mhz = clocks[clock];
    return SUCCESS;
}
int nvmlDeviceGetMaxClockInfo(device *d, int clock, unsigned *mhz) {
    ANSWERS(d);
    unsigned clocks[] = {1965, 1980, 2619, 1770};
    if (clock < 0 || clock > 3) return INVALID;
    *mhz = clocks[clock];
    return SUCCESS;
}
int nvmlDeviceGetPerformanceState(device *d, int *p) {
    ANSWERS(d);
    *p = IS_H100(d) ? 0 : 8;
    return SUCCESS;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, u64 *bits) {
    ANSWERS(d);
    *bits = IS_H100(d) ? THROTTLE : 1;
    return SUCCESS;
}

/* Links. */

#define NUMBER(name, number) \
    int name(device *d, unsigned *n) { ANSWERS(d); *n = number; return SUCCESS; }
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, 5)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, 6)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, 8)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, 16)
NUMBER(nvmlDeviceGetPcieReplayCounter, 3)
int nvmlDeviceGetPcieThroughput(device *d, int counter, unsigned *kb) {
    ANSWERS(d);
    *kb = counter == 0 ? 1200 : 52000;
    return SUCCESS;
}

/* Links 0 and 1 work, 2 leads nowhere, 3 is switched off, and there are no more. */
int nvmlDeviceGetNvLinkState(device *d, unsigned link, unsigned *active) {
    ONLY_H100(d);
    if (link > 3 && !GARBAGE) return INVALID;
    if (link == 3 && !GARBAGE) return NOT_SUPPORTED;
    *active = link < 2;
    if (link == 1 && LINK_DOWN_AFTER && ++link_queries >= LINK_DOWN_AFTER) *active = 0;
    return SUCCESS;
}
int nvmlDeviceGetNvLinkVersion(device *d, unsigned link, unsigned *version) {
    ONLY_H100(d);
    *version = 4 + link;
    return SUCCESS;
}
int nvmlDeviceGetNvLinkErrorCounter(device *d, unsigned link, int counter, u64 *n) {
    ONLY_H100(d);
    *n = 100 * (counter + 1) + link;
    if (counter == 2 || counter == 3) *n += (u64)CRC_GROWS * error_queries++;
    return SUCCESS;
}

/* Faults. */

int nvmlDeviceGetEccMode(device *d, int *now, int *pending) {
    ONLY_H100(d);
    *now = 1;
    *pending = 0;
    return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(device *d, int kind, int counter, u64 *n) {
    ONLY_H100(d);
    *n = kind == 1 ? UNCORRECTED : 7;
    if (counter == 1) *n += 1;
    return SUCCESS;
}
int nvmlDeviceGetRetiredPages(device *d, int cause, unsigned *n, u64 *addresses) {
    ANSWERS(d);
    if (IS_H100(d)) return NOT_SUPPORTED;
    unsigned room = *n;
    *n = cause == 0 ? 2 : 3;
    return room < *n ? TOO_SMALL : SUCCESS;
}
int nvmlDeviceGetRetiredPagesPendingStatus(device *d, int *pending) {
    ANSWERS(d);
    if (IS_H100(d)) return NOT_SUPPORTED;
    *pending = 0;
    return SUCCESS;
}

typedef struct {
    unsigned field, scope;
    long long time, latency;
    int type, result;
    union { double d; unsigned u; u64 ull; } value;
} field_value;
int nvmlDeviceGetFieldValues(device *d, int count, field_value *values) {
    ANSWERS(d);
    for (int i = 0; i < count; i++) {
        field_value *v = &values[i];
        v->type = 1; /* unsigned int */
        v->result = IS_H100(d) ? SUCCESS : NOT_SUPPORTED;
        switch (v->field) {
        case 82: v->value.u = GARBAGE ? 0x80000000u : 77; break;
        case 91: v->value.u = GARBAGE ? 4000000000u : 4; break;
        case 138: v->type = 3; v->value.ull = 1000 + v->scope; break;
        case 139: v->type = 3; v->value.ull = 2000 + v->scope; break;
        case 142: v->value.u = 1; break;
        case 143: v->value.u = 1; break;
        case 144: v->value.u = ROW_PENDING; break;
        case 145: v->value.u = 0; break;
        default: v->result = INVALID;
        }
        if (GARBAGE && v->field == 138) v->type = 0, v->value.d = NAN;
        if (GARBAGE && v->field == 139) v->type = 77;
    }
    return SUCCESS;
}

/* How it is set up. */

int nvmlDeviceGetComputeMode(device *d, int *mode) {
    ANSWERS(d);
    *mode = GARBAGE ? 4711 : IS_H100(d) ? 3 : 0;
    return SUCCESS;
}
int nvmlDeviceGetPersistenceMode(device *d, int *mode) { ONLY_H100(d); *mode = 1; return SUCCESS; }
int nvmlDeviceGetAccountingMode(device *d, int *mode) { ONLY_H100(d); *mode = 1; return SUCCESS; }
int nvmlSystemGetConfComputeState(unsigned out[3]) { /* environment, feature, tools */
    SYSTEM();
    out[0] = 2;
    out[1] = 1;
    out[2] = 0;
    return SUCCESS;
}
int nvmlDeviceGetMigMode(device *d, unsigned *now, unsigned *pending) {
    ONLY_H100(d);
    *now = MIG;
    *pending = 1;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *n) {
    ONLY_H100(d);
    *n = GARBAGE ? 4000000000u : 7;
    return SUCCESS;
}
int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned i, device **part) {
    ONLY_H100(d);
    if (i != 0 && i != 2 && !GARBAGE) return NOT_FOUND;
    *part = &partitions[i == 2];
    return SUCCESS;
}
int nvmlDeviceGetGpuInstanceId(device *d, unsigned *n) {
    ANSWERS(d);
    *n = d->number - 8;
    return SUCCESS;
}
int nvmlDeviceGetComputeInstanceId(device *d, unsigned *n) {
    ANSWERS(d);
    *n = d->number - 10;
    return SUCCESS;
}
typedef struct { unsigned sms, shared[5], gpu_slices, compute_slices; u64 memory_mb; } attributes;
int nvmlDeviceGetAttributes_v2(device *d, attributes *a) {
    ANSWERS(d);
    memset(a, 0x55, sizeof *a);
    a->sms = d->number * 2;
    a->gpu_slices = d->number - 9;
    return SUCCESS;
}

/* Processes. */

typedef struct { unsigned pid; u64 used; unsigned gpu, compute; } process;
static int endless(unsigned *n) {
    *n = 4294967295u;
    return GARBAGE == 2 ? SUCCESS : TOO_SMALL;
}
int nvmlDeviceGetComputeRunningProcesses_v3(device *d, unsigned *n, process *out) {
    ANSWERS(d);
    if (!IS_H100(d)) { *n = 0; return SUCCESS; }
    if (GARBAGE) return endless(n);
    unsigned room = *n;
    *n = 1;
    if (room < 1) return TOO_SMALL;
    *out = (process){1001, 39ull << 30, 5, 6};
    return SUCCESS;
}
/* More than fit at first, with two of them hidden from us. */
int nvmlDeviceGetGraphicsRunningProcesses_v3(device *d, unsigned *n, process *out) {
    ONLY_H100(d);
    if (GARBAGE) return endless(n);
    unsigned room = *n;
    *n = 100;
    if (room < *n) return TOO_SMALL;
    for (unsigned i = 0; i < 100; i++)
        out[i] = (process){2000 + i, i < 2 ? ~0ull : i << 20, 0xffffffff, 0xffffffff};
    out[99].pid = 1001; /* computes too */
    out[99].gpu = 5;
    return SUCCESS;
}
typedef struct { unsigned pid; u64 time; unsigned sm, memory, encoder, decoder; } process_use;
int nvmlDeviceGetProcessUtilization(device *d, process_use *out, unsigned *n, u64 since) {
    ONLY_H100(d);
    if (GARBAGE) return endless(n);
    if (since > 1000) return NOT_FOUND;
    unsigned room = *n;
    *n = 3;
    if (room < 3) return TOO_SMALL;
    out[0] = (process_use){1001, since + 300, 21, 22, 23, 24};
    out[1] = (process_use){1001, since + 200, 91, 92, 93, 94};
    out[2] = (process_use){2098, since + 100, 31, 32, 33, 4000000000u};
    return SUCCESS;
}
typedef struct {
    unsigned gpu, memory;
    u64 memory_max, time, start;
    unsigned running, reserved[5];
} accounting;
int nvmlDeviceGetAccountingStats(device *d, unsigned pid, accounting *a) {
    ONLY_H100(d);
    if (pid != 1001) return NOT_FOUND;
    *a = (accounting){71, 72, 73ull << 30, 74000, 75000000, 1};
    return SUCCESS;
}

/* A stand-in for NVIDIA's management library, for tests on machines without a GPU.
 *
 * Two devices: 0 looks like an H100 (ECC, no fan), 1 like a desktop card (fan, no ECC). What goes
 * wrong is chosen when it is compiled:
 *   -DINIT=n          nvmlInit answers n
 *   -DLOST_AFTER=n    device 0 falls off the bus at its n-th utilisation query
 *   -DLOST_FIRST=n    device 0 does not answer the first n times its handle is asked for
 *   -DTHROTTLE=bits   device 0 is held back by these reasons
 *   -DUNCORRECTED=n   device 0 has had n uncorrected errors
 *   -DROW_PENDING=1   device 0 has a row that waits to be replaced
 * How often something was asked is told through figures that the test reads: device 0's only
 * process has 1000 + (lists asked for) as its number; device 1's energy, in joules, is how often
 * its memory temperature and its fan were asked for: 1000 * temperature + fan.
 */
#include <string.h>

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

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, TOO_SMALL = 7, GPU_IS_LOST = 15 };

typedef struct { int number; } device;
typedef unsigned long long u64;

static device devices[2] = {{0}, {1}};
static int handle_queries, utilisation_queries, list_queries, temperature_queries, fan_queries;

#define IS_H100(d) ((d)->number == 0)
#define LOST(d) (IS_H100(d) && LOST_AFTER && utilisation_queries >= LOST_AFTER)
#define ANSWERS(d) if (LOST(d)) return GPU_IS_LOST
#define ONLY_H100(d) do { ANSWERS(d); if (!IS_H100(d)) return NOT_SUPPORTED; } while (0)

static int text(char *out, unsigned size, const char *value) {
    if (strlen(value) + 1 > size) return TOO_SMALL;
    strcpy(out, value);
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

int nvmlDeviceGetName(device *d, char *out, unsigned n) {
    return text(out, n, IS_H100(d) ? "NVIDIA H100 80GB HBM3" : "NVIDIA GeForce RTX 4090");
}
int nvmlDeviceGetUUID(device *d, char *out, unsigned n) {
    return text(out, n, IS_H100(d) ? "GPU-0aa1b2c3-0000-1111-2222-333344445555"
                                   : "GPU-1aa1b2c3-0000-1111-2222-333344445555");
}
int nvmlDeviceGetSerial(device *d, char *out, unsigned n) {
    ONLY_H100(d);
    return text(out, n, "1652823004711");
}
int nvmlDeviceGetVbiosVersion(device *d, char *out, unsigned n) {
    return text(out, n, IS_H100(d) ? "96.00.99.00.01" : "95.02.18.80.87");
}
int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) {
    *major = IS_H100(d) ? 9 : 8;
    *minor = IS_H100(d) ? 0 : 9;
    return SUCCESS;
}
int nvmlDeviceGetArchitecture(device *d, unsigned *a) { *a = IS_H100(d) ? 9 : 8; return SUCCESS; }
int nvmlDeviceGetNumGpuCores(device *d, unsigned *n) {
    *n = IS_H100(d) ? 16896 : 16384;
    return SUCCESS;
}
int nvmlDeviceGetMemoryBusWidth(device *d, unsigned *n) {
    *n = IS_H100(d) ? 5120 : 384;
    return SUCCESS;
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, pci_device, pci_subsystem;
    char id[32];
} pci;
int nvmlDeviceGetPciInfo_v3(device *d, pci *out) {
    memset(out, 0, sizeof *out);
    out->bus = IS_H100(d) ? 0x3b : 0xaf;
    return text(out->id, sizeof out->id, IS_H100(d) ? "00000000:3B:00.0" : "00000000:AF:00.0");
}

int nvmlDeviceGetUtilizationRates(device *d, unsigned out[2]) {
    if (IS_H100(d)) utilisation_queries++;
    ANSWERS(d);
    out[0] = IS_H100(d) ? 97 : 0;
    out[1] = IS_H100(d) ? 61 : 0;
    return SUCCESS;
}

typedef struct { unsigned version; u64 total, reserved, free, used; } memory;
int nvmlDeviceGetMemoryInfo_v2(device *d, memory *m) {
    ANSWERS(d);
    if (m->version != (sizeof *m | 2 << 24)) return INVALID;
    m->total = IS_H100(d) ? 85520809984ull : 25757220864ull;
    m->reserved = 500 << 20;
    m->used = 40ull << 30;
    if (!IS_H100(d)) m->used = 1 << 30;
    m->free = m->total - m->reserved - m->used;
    return SUCCESS;
}
int nvmlDeviceGetBAR1MemoryInfo(device *d, u64 out[3]) { /* total, free, used */
    ANSWERS(d);
    out[0] = 131072ull << 20;
    out[1] = 131068ull << 20;
    out[2] = 4ull << 20;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(device *d, unsigned *mw) {
    ANSWERS(d);
    *mw = IS_H100(d) ? 683214 : 21500;
    return SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(device *d, unsigned *mw) {
    *mw = IS_H100(d) ? 700000 : 450000;
    return SUCCESS;
}
int nvmlDeviceGetPowerManagementLimitConstraints(device *d, unsigned *low, unsigned *high) {
    *low = 200000;
    *high = IS_H100(d) ? 700000 : 600000;
    return SUCCESS;
}
int nvmlDeviceGetTotalEnergyConsumption(device *d, u64 *mj) {
    ANSWERS(d);
    *mj = IS_H100(d) ? 9876543210ull : 1000ull * (1000 * temperature_queries + fan_queries);
    return SUCCESS;
}

int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *t) {
    ANSWERS(d);
    *t = IS_H100(d) ? 64 : 38;
    return SUCCESS;
}
int nvmlDeviceGetTemperatureThreshold(device *d, int kind, unsigned *t) {
    *t = kind == 0 ? 95 : 92;
    return SUCCESS;
}
int nvmlDeviceGetFanSpeed_v2(device *d, unsigned fan, unsigned *percent) {
    if (IS_H100(d)) return NOT_SUPPORTED;
    fan_queries++;
    *percent = 30;
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(device *d, int clock, unsigned *mhz) {
    ANSWERS(d);
    *mhz = clock == 2 ? 2619 : 1755;
    return SUCCESS;
}
int nvmlDeviceGetMaxClockInfo(device *d, int clock, unsigned *mhz) {
    *mhz = clock == 2 ? 2619 : 1980;
    return SUCCESS;
}
int nvmlDeviceGetPerformanceState(device *d, int *p) { *p = IS_H100(d) ? 0 : 8; return SUCCESS; }
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, u64 *bits) {
    ANSWERS(d);
    *bits = IS_H100(d) ? THROTTLE : 1;
    return SUCCESS;
}

int nvmlDeviceGetCurrPcieLinkGeneration(device *d, unsigned *n) { *n = 5; return SUCCESS; }
int nvmlDeviceGetMaxPcieLinkGeneration(device *d, unsigned *n) { *n = 5; return SUCCESS; }
int nvmlDeviceGetCurrPcieLinkWidth(device *d, unsigned *n) { *n = 16; return SUCCESS; }
int nvmlDeviceGetMaxPcieLinkWidth(device *d, unsigned *n) { *n = 16; return SUCCESS; }
int nvmlDeviceGetPcieReplayCounter(device *d, unsigned *n) { *n = 3; return SUCCESS; }
int nvmlDeviceGetPcieThroughput(device *d, int counter, unsigned *kb) {
    *kb = counter == 0 ? 1200 : 52000;
    return SUCCESS;
}

int nvmlDeviceGetEccMode(device *d, int *now, int *pending) {
    ONLY_H100(d);
    *now = *pending = 1;
    return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(device *d, int kind, int counter, u64 *n) {
    ONLY_H100(d);
    *n = kind == 1 ? UNCORRECTED : 7;
    if (counter == 1) *n += 1;
    return SUCCESS;
}
int nvmlDeviceGetRetiredPages(device *d, int cause, unsigned *n, u64 *a) { return NOT_SUPPORTED; }
int nvmlDeviceGetRetiredPages_v2(device *d, int cause, unsigned *n, u64 *a, u64 *t) {
    return NOT_SUPPORTED;
}
int nvmlDeviceGetRetiredPagesPendingStatus(device *d, int *p) { return NOT_SUPPORTED; }

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
        case 82: v->value.u = 77; if (!IS_H100(d)) temperature_queries++; break;
        case 142: v->value.u = 1; break;
        case 143: v->value.u = 1; break;
        case 144: v->value.u = ROW_PENDING; break;
        case 145: v->value.u = 0; break;
        default: v->result = INVALID;
        }
    }
    return SUCCESS;
}

typedef struct { unsigned pid; u64 used; unsigned gpu, compute; } process;
int nvmlDeviceGetComputeRunningProcesses_v3(device *d, unsigned *n, process *out) {
    ANSWERS(d);
    if (!IS_H100(d)) { *n = 0; return SUCCESS; }
    unsigned room = *n;
    *n = 1;
    if (room < 1) return TOO_SMALL;
    out->pid = 1000 + ++list_queries;
    out->used = 39ull << 30;
    out->gpu = out->compute = 0xffffffff;
    return SUCCESS;
}
/* No nvmlDeviceGetGraphicsRunningProcesses_v3 and no encoder calls: old drivers lack symbols. */

/* A stand-in for AMD's system management library, for tests on machines without a GPU.
 *
 * One device at 0000:03:00.0. -DINIT=n makes rsmi_init answer n and, as the real one does without
 * a device, print. The energy counter tells, in
 * joules, how often an unsupported figure (the memory's temperature) was asked for.
 * rsmi_dev_ecc_count_get writes a longer structure than the header has, as a newer release may.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef INIT
#define INIT 0
#endif

static int refused;

int rsmi_init(uint64_t flags) {
    if (INIT) fprintf(stderr, "Exception caught: rsmi_init.\n");
    return INIT;
}
int rsmi_shut_down(void) { return 0; }

typedef struct { uint32_t major, minor, patch; const char *build; } version;
int rsmi_version_get(version *v) {
    v->major = 7;
    v->minor = 8;
    v->patch = 0;
    v->build = 0;
    return 0;
}

int rsmi_num_monitor_devices(uint32_t *n) { *n = 1; return 0; }
int rsmi_dev_pci_id_get(uint32_t i, uint64_t *id) { *id = 0x300; return i ? 1 : 0; }
int rsmi_dev_name_get(uint32_t i, char *name, size_t length) {
    if (i) return 1;
    strncpy(name, "AMD Instinct MI300X", length);
    return 0;
}
int rsmi_dev_busy_percent_get(uint32_t i, uint32_t *p) { *p = 11; return 0; }
int rsmi_dev_power_ave_get(uint32_t i, uint32_t sensor, uint64_t *uw) { *uw = 99000000; return 0; }
int rsmi_dev_energy_count_get(uint32_t i, uint64_t *n, float *step, uint64_t *time) {
    *n = refused;
    *step = 1e6f;
    *time = 1;
    return 0;
}
int rsmi_dev_temp_metric_get(uint32_t i, uint32_t sensor, int metric, int64_t *t) {
    if (sensor == 2) {
        refused++;
        return 2;
    }
    *t = 51000;
    return 0;
}
int rsmi_dev_ecc_count_get(uint32_t i, uint64_t block, uint64_t *counts) {
    for (int n = 0; n < 16; n++) counts[n] = 5 + n;
    return 0;
}
/* No rsmi_dev_memory_busy_percent_get, no memory calls: symbols may be missing. */

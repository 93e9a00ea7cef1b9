/* A stand-in for AMD's system management library, for tests on machines without a GPU.
 *
 * One device at 0000:03:00.0. -DINIT=n makes rsmi_init answer n and, as the real one does without
 * a device, print. The energy counter tells, in
 * joules, how often an unsupported figure (the memory's temperature) was asked for, and a thousand
 * for each time that it was busy (the power limit). No two figures are alike.
 * rsmi_dev_ecc_count_get writes a longer structure than the header has, as a newer release may.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef INIT
#define INIT 0
#endif

static int refused, busy;

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
    *n = refused + 1000 * busy;
    *step = 1e6f;
    *time = 1;
    return 0;
}
int rsmi_dev_temp_metric_get(uint32_t i, uint32_t sensor, int metric, int64_t *t) {
    enum { CURRENT = 0, CRITICAL = 5, EMERGENCY = 7 };
    int base = metric == CURRENT ? 51000 : metric == CRITICAL ? 71000 : 81000;
    if (sensor == 2 && metric == CURRENT) {
        refused++;
        return 2;
    }
    *t = base + 1000 * sensor;
    return 0;
}
int rsmi_dev_power_cap_get(uint32_t i, uint32_t sensor, uint64_t *uw) { busy++; return 16; }
int rsmi_dev_power_cap_default_get(uint32_t i, uint64_t *uw) { *uw = 98000000; return 0; }
int rsmi_dev_power_cap_range_get(uint32_t i, uint32_t sensor, uint64_t *most, uint64_t *least) {
    *most = 97000000;
    *least = 10000000;
    return 0;
}
int rsmi_dev_serial_number_get(uint32_t i, char *out, uint32_t length) {
    strncpy(out, "692251000123", length);
    return 0;
}
int rsmi_dev_vbios_version_get(uint32_t i, char *out, uint32_t length) {
    strncpy(out, "113-LIBRARY-001", length);
    return 0;
}
int rsmi_topo_get_numa_node_number(uint32_t i, uint32_t *node) { *node = 7; return 0; }
int rsmi_dev_volt_metric_get(uint32_t i, uint32_t kind, int metric, int64_t *mv) {
    *mv = 905;
    return kind || metric ? 2 : 0;
}
int rsmi_dev_fan_rpms_get(uint32_t i, uint32_t sensor, int64_t *rpm) { *rpm = 2345; return 0; }
int rsmi_dev_pci_replay_counter_get(uint32_t i, uint64_t *n) { *n = 6; return 0; }
int rsmi_dev_ecc_count_get(uint32_t i, uint64_t block, uint64_t *counts) {
    for (int n = 0; n < 16; n++) counts[n] = 5 + n;
    return 0;
}
/* No rsmi_dev_memory_busy_percent_get, no memory calls: symbols may be missing. */

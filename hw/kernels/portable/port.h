// What kernels are written in: C++ without any library, for three targets.
//
// - NVPTX: clang -x cuda, no vendor header.
// - AMDGCN: clang -x hip, no vendor header.
// - The host: any C++17 compiler; `tests/fakes/emulate.h` runs the threads of a block as fibers.
//
// Decides the words for threads, shared memory and barriers, and arithmetic that is the same on all three. Blocks have one
// dimension of threads; grids have up to three of blocks. A group is 32 threads that may exchange registers.
#pragma once

#if defined(__clang__)
// A product and a sum are rounded twice, everywhere, unless `fused` says otherwise.
#pragma clang fp contract(off)
#endif

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;

#if defined(__NVPTX__)

#define DEVICE static inline __attribute__((device, always_inline))
#define KERNEL(name, parameters) extern "C" __attribute__((global)) void name parameters
#define SHARED __attribute__((shared)) static

DEVICE u32 thread_index() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 thread_count() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE u32 block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE u32 block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE u32 block_count() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE void barrier() { __syncthreads(); }
DEVICE u32 exchange(u32 bits, u32 mask) { return __nvvm_shfl_sync_bfly_i32(0xffffffffu, bits, mask, 0x1f); }
DEVICE float square_root(float x) { return __nvvm_sqrt_rn_f(x); }
/// Four signed products of bytes and their sum, added to `sum`.
DEVICE i32 dot4(u32 a, u32 b, i32 sum) {
    i32 out;
    asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(out) : "r"(a), "r"(b), "r"(sum));
    return out;
}

#elif defined(__AMDGCN__)

#define DEVICE static inline __attribute__((device, always_inline))
// Blocks have at most 256 threads: the compiler would keep registers for four times as many, and spill.
#define KERNEL(name, parameters) \
    extern "C" __attribute__((global, amdgpu_flat_work_group_size(1, 256))) void name parameters
#define SHARED __attribute__((shared)) static

DEVICE u32 thread_index() { return __builtin_amdgcn_workitem_id_x(); }
DEVICE u32 thread_count() { return __builtin_amdgcn_workgroup_size_x(); }
DEVICE u32 block_x() { return __builtin_amdgcn_workgroup_id_x(); }
DEVICE u32 block_y() { return __builtin_amdgcn_workgroup_id_y(); }
DEVICE u32 block_z() { return __builtin_amdgcn_workgroup_id_z(); }
DEVICE u32 block_count() { return __builtin_amdgcn_grid_size_x() / __builtin_amdgcn_workgroup_size_x(); }
DEVICE void barrier() {
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
    __builtin_amdgcn_s_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
DEVICE u32 exchange(u32 bits, u32 mask) {
    u32 lane = __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u));
    return (u32)__builtin_amdgcn_ds_bpermute((i32)((lane ^ mask) * 4), (i32)bits);
}
DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
DEVICE i32 dot4(u32 a, u32 b, i32 sum) {
    for (u32 i = 0; i < 4; i++) sum += (i32)(i8)(a >> (8 * i)) * (i32)(i8)(b >> (8 * i));
    return sum;
}

#else

#include "emulate.h"

#define DEVICE static inline
#define KERNEL(name, parameters)                                                  \
    static void name parameters;                                                  \
    static const emulate::Registered registered_##name(#name, &emulate::call<&name>); \
    static void name parameters
#define SHARED static thread_local

DEVICE u32 thread_index() { return emulate::thread_index(); }
DEVICE u32 thread_count() { return emulate::thread_count(); }
DEVICE u32 block_x() { return emulate::block(0); }
DEVICE u32 block_y() { return emulate::block(1); }
DEVICE u32 block_z() { return emulate::block(2); }
DEVICE u32 block_count() { return emulate::block_count(); }
DEVICE void barrier() { emulate::barrier(); }
DEVICE u32 exchange(u32 bits, u32 mask) { return emulate::exchange(bits, mask); }
DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
DEVICE i32 dot4(u32 a, u32 b, i32 sum) {
    for (u32 i = 0; i < 4; i++) sum += (i32)(i8)(a >> (8 * i)) * (i32)(i8)(b >> (8 * i));
    return sum;
}

#endif

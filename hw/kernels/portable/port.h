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
// Loops of `dot4`: where that is no instruction, there would be too much of it at a time.
#if defined(__gfx900__)
#define UNROLL_DOT4 _Pragma("nounroll")
#else
#define UNROLL_DOT4 UNROLL
#endif

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;

/// 16 bytes that are read at once.
struct Quad {
    u32 words[4];
};

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
/// What each lane of the group gives to all.
DEVICE void from_lanes(u32 bits, u32 (&given)[32]) {
    UNROLL
    for (u32 lane = 0; lane < 32; lane++) given[lane] = __nvvm_shfl_sync_idx_i32(0xffffffffu, bits, lane, 0x1f);
}
DEVICE float square_root(float x) { return __nvvm_sqrt_rn_f(x); }
/// From a multiple of 16. A plain load of a vector would become four.
DEVICE Quad load16(const void *from) {
    typedef int Four __attribute__((ext_vector_type(4)));
    return __builtin_bit_cast(Quad, __nvvm_ldg_i4((const Four *)from));
}
#if __CUDA_ARCH__ >= 800
/// Whether there is a unit that multiplies small matrices of bytes.
#define HAS_MATRIX 1
/// `sum` += a * b by a group, for 16 rows of 32 bytes and 8 columns of 32 bytes. Lane 4 g + t has bytes 4 t.. and 16 + 4 t..
/// of rows g and g + 8 (`a`: first g's and then g + 8's low bytes, then the high ones) and of column g (`b`), and the sums of
/// columns 2 t and 2 t + 1, first of row g, then of row g + 8 (PTX ISA, mma.m16n8k32).
DEVICE void multiply_add(i32 (&sum)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// The same of 16 bytes: the first two words of `a` and the first of `b` (mma.m16n8k16).
DEVICE void multiply_add(i32 (&sum)[4], const u32 (&a)[2], u32 b) {
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(b));
}
#endif
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
DEVICE void from_lanes(u32 bits, u32 (&given)[32]) {
    u32 first = __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u)) & ~31u;
    UNROLL
    for (u32 lane = 0; lane < 32; lane++) {
        given[lane] = (u32)__builtin_amdgcn_ds_bpermute((i32)((first | lane) * 4), (i32)bits);
    }
}
DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
DEVICE Quad load16(const void *from) {
    typedef u32 Four __attribute__((ext_vector_type(4)));
    return __builtin_bit_cast(Quad, *(const Four *)from);
}
DEVICE i32 dot4(u32 a, u32 b, i32 sum) {
#if defined(__gfx1100__) || defined(__gfx1201__)
    return __builtin_amdgcn_sudot4(true, (i32)a, true, (i32)b, sum, false);
#elif !defined(__gfx900__)
    return __builtin_amdgcn_sdot4((i32)a, (i32)b, sum, false);
#else
    for (u32 i = 0; i < 4; i++) sum += (i32)(i8)(a >> (8 * i)) * (i32)(i8)(b >> (8 * i));
    return sum;
#endif
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
DEVICE void from_lanes(u32 bits, u32 (&given)[32]) {
    const u32 (*lanes)[8] = emulate::shared(&bits, 1);
    for (u32 lane = 0; lane < 32; lane++) given[lane] = lanes[lane][0];
    exchange(0, 1);
}
DEVICE Quad load16(const void *from) {
    Quad out;
    __builtin_memcpy(&out, __builtin_assume_aligned(from, 16), sizeof out);
    return out;
}
DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
DEVICE i32 dot4(u32 a, u32 b, i32 sum) {
    for (u32 i = 0; i < 4; i++) sum += (i32)(i8)(a >> (8 * i)) * (i32)(i8)(b >> (8 * i));
    return sum;
}

#if !defined(WITHOUT_MATRIX)
#define HAS_MATRIX 1
/// Of row `i` and column `j`, with `words` of each lane's: bytes 4 t.. of words 0 and 1, and 16 + 4 t.. of words 2 and 3.
DEVICE void multiply_add_all(i32 (&sum)[4], const u32 (*lanes)[8], u32 halves) {
    u32 lane = thread_index() % 32, row = lane / 4;
    for (u32 i = 0; i < 4; i++) {
        u32 column = lane % 4 * 2 + i % 2;
        for (u32 half = 0; half < halves; half++) {
            for (u32 t = 0; t < 4; t++) {
                sum[i] = dot4(lanes[row * 4 + t][half * 2 + i / 2], lanes[column * 4 + t][4 + half], sum[i]);
            }
        }
    }
    exchange(0, 1);
}
DEVICE void multiply_add(i32 (&sum)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    u32 mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    multiply_add_all(sum, emulate::shared(mine, 6), 2);
}
DEVICE void multiply_add(i32 (&sum)[4], const u32 (&a)[2], u32 b) {
    u32 mine[6] = {a[0], a[1], 0, 0, b, 0};
    multiply_add_all(sum, emulate::shared(mine, 6), 1);
}
#endif

#endif

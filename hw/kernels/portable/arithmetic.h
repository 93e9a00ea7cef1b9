// Functions of one number, and halves, alike on every target: no library gives them to all.
//
// Decides the approximations; each says its error.
#pragma once

#include "port.h"

DEVICE u32 bits_of(float x) { return __builtin_bit_cast(u32, x); }
DEVICE float float_of(u32 bits) { return __builtin_bit_cast(float, bits); }

DEVICE bool is_nan(float x) { return x != x; }
DEVICE bool is_finite(float x) { return (bits_of(x) & 0x7f800000u) != 0x7f800000u; }
DEVICE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float magnitude(float x) { return float_of(bits_of(x) & 0x7fffffffu); }

/// To the nearest whole number, halves to even.
DEVICE float rounded(float x) { return __builtin_rintf(x); }

/// Two to the power of a whole number from -126 to 127.
DEVICE float power_of_two(float x) { return float_of((u32)((i32)x + 127) << 23); }

/// e to the power of x, to about 1.2 units in the last place: x is split into a whole number of ln 2 and a rest, of which
/// the Taylor series to the seventh power is taken. NaN stays NaN.
DEVICE float exponential(float x) {
    if (is_nan(x)) return x;
    x = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
    float whole = rounded(x * 1.44269504f);
    float rest = fused(whole, 2.1219444e-4f, fused(whole, -0.6933594f, x));
    float sum = 1.0f / 5040.0f;
    sum = fused(sum, rest, 1.0f / 720.0f);
    sum = fused(sum, rest, 1.0f / 120.0f);
    sum = fused(sum, rest, 1.0f / 24.0f);
    sum = fused(sum, rest, 1.0f / 6.0f);
    sum = fused(sum, rest, 0.5f);
    sum = fused(sum, rest, 1.0f);
    sum = fused(sum, rest, 1.0f);
    // In two steps, so that neither leaves the range of exponents before the product does.
    float half = rounded(whole * 0.5f);
    return sum * power_of_two(half) * power_of_two(whole - half);
}

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/// The hyperbolic tangent, to about 2 units in the last place: near zero an odd polynomial (coefficients of the Cephes
/// library's `tanhf`, Moshier 1992), elsewhere through the exponential.
DEVICE float hyperbolic_tangent(float x) {
    if (is_nan(x)) return x;
    float distance = magnitude(x);
    if (distance > 0.625f) {
        float far = 1.0f - 2.0f / (exponential(2.0f * distance) + 1.0f);
        return x > 0.0f ? far : -far;
    }
    float square = x * x;
    float series = fused(-5.7049887e-3f, square, 2.063909e-2f);
    series = fused(series, square, -5.3739716e-2f);
    series = fused(series, square, 1.3331442e-1f);
    series = fused(series, square, -3.333328e-1f);
    return fused(series * square, x, x);
}

/// The complementary error function, to 1.2e-7 of its value and what `exponential` loses: the fit of Press et al.,
/// Numerical Recipes, section 6.2.
DEVICE float complementary_error(float x) {
    if (is_nan(x)) return x;
    float distance = magnitude(x);
    float t = 1.0f / fused(0.5f, distance, 1.0f);
    float sum = 0.17087277f;
    sum = fused(sum, t, -0.82215223f);
    sum = fused(sum, t, 1.48851587f);
    sum = fused(sum, t, -1.13520398f);
    sum = fused(sum, t, 0.27886807f);
    sum = fused(sum, t, -0.18628806f);
    sum = fused(sum, t, 0.09678418f);
    sum = fused(sum, t, 0.37409196f);
    sum = fused(sum, t, 1.00002368f);
    sum = fused(sum, t, -1.26551223f);
    float tail = t * exponential(fused(-distance, distance, sum));
    return x > 0.0f ? tail : 2.0f - tail;
}

/// From the bits of a half.
DEVICE float from_half(u16 bits) {
#if defined(__NVPTX__) || defined(__AMDGCN__)
    return (float)__builtin_bit_cast(_Float16, bits);
#else
    u32 sign = ((u32)bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    if (rest >= 0x7c00u) return float_of(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
    if (rest >= 0x400u) return float_of(sign | ((rest << 13) + (112u << 23)));
    // A denormal: so many steps of 2^-24.
    float small = (float)rest * 5.9604645e-8f;
    return sign ? -small : small;
#endif
}

/// To the nearest half, ties to even.
DEVICE u16 to_half(float x) {
#if defined(__NVPTX__) || defined(__AMDGCN__)
    return __builtin_bit_cast(u16, (_Float16)x);
#else
    u32 bits = bits_of(x), sign = (bits >> 16) & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return (u16)(sign | 0x7e00u);
    if (rest >= 0x477ff000u) return (u16)(sign | 0x7c00u);
    if (rest < 0x38800000u) {
        // The sum with 0.5 leaves just the bits that a denormal has.
        return (u16)(sign | (bits_of(float_of(rest) + 0.5f) - 0x3f000000u));
    }
    u32 odd = rest >> 13 & 1u;
    return (u16)(sign | ((rest + 0xfffu + odd - (112u << 23)) >> 13));
#endif
}

/// The sum over a group; each thread of it gets it.
DEVICE float group_sum(float x) {
    for (u32 mask = 16; mask > 0; mask >>= 1) x += float_of(exchange(bits_of(x), mask));
    return x;
}

/// The sum over a group, each thread of which gets it: first of every eighth lane, one after the other, then of these sums.
DEVICE float group_sum_in_order(float x) {
    u32 lanes[32];
    from_lanes(bits_of(x), lanes);
    float total = 0.0f;
    UNROLL
    for (u32 first = 0; first < 8; first++) {
        float sum = 0.0f;
        UNROLL
        for (u32 lane = first; lane < 32; lane += 8) sum += float_of(lanes[lane]);
        total += sum;
    }
    return total;
}

DEVICE i32 group_sum(i32 x) {
    for (u32 mask = 16; mask > 0; mask >>= 1) x += (i32)exchange((u32)x, mask);
    return x;
}

DEVICE float larger(float a, float b) { return b > a || is_nan(b) ? b : a; }

/// The largest of a group, NaN if there is one.
DEVICE float group_largest(float x) {
    for (u32 mask = 16; mask > 0; mask >>= 1) {
        float other = float_of(exchange(bits_of(x), mask));
        x = is_nan(x) ? x : larger(x, other);
    }
    return x;
}

/// Threads of a block that works on a row.
#define ROW_THREADS 256u

/// The sum over such a block. Every thread takes part and gets it.
DEVICE float block_sum(float x) {
    SHARED float parts[ROW_THREADS / 32];
    x = group_sum(x);
    barrier();
    if (thread_index() % 32 == 0) parts[thread_index() / 32] = x;
    barrier();
    float sum = 0.0f;
    for (u32 i = 0; i < thread_count() / 32; i++) sum += parts[i];
    return sum;
}

/// The largest of such a block, NaN if there is one.
DEVICE float block_largest(float x) {
    SHARED float parts[ROW_THREADS / 32];
    x = group_largest(x);
    barrier();
    if (thread_index() % 32 == 0) parts[thread_index() / 32] = x;
    barrier();
    float most = parts[0];
    for (u32 i = 1; i < thread_count() / 32; i++) most = is_nan(most) ? most : larger(most, parts[i]);
    return most;
}

// What the bytes of each storage type mean.
//
// Decides the numbers of a row, as `src/reference/blocks.rs` does: format facts from the `gguf` package's `quants.py` and
// the tensor type table of the GGUF specification. Types have the numbers of `src/dtype.rs`.
#pragma once

#include "arithmetic.h"

enum Type : u32 {
    F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K,
};

/// Of a type: how many times 32 numbers are in a block, and whether its numbers have a minimum.
template <u32 T> struct Form;
template <> struct Form<Q4_0> { static constexpr u32 parts = 1; static constexpr bool minimum = false; };
template <> struct Form<Q4_1> { static constexpr u32 parts = 1; static constexpr bool minimum = true; };
template <> struct Form<Q5_0> { static constexpr u32 parts = 1; static constexpr bool minimum = false; };
template <> struct Form<Q5_1> { static constexpr u32 parts = 1; static constexpr bool minimum = true; };
template <> struct Form<Q8_0> { static constexpr u32 parts = 1; static constexpr bool minimum = false; };
template <> struct Form<Q4_K> { static constexpr u32 parts = 8; static constexpr bool minimum = true; };
template <> struct Form<Q5_K> { static constexpr u32 parts = 8; static constexpr bool minimum = true; };
template <> struct Form<Q6_K> { static constexpr u32 parts = 8; static constexpr bool minimum = false; };

/// A weight in planes, `src/gpu/planes.rs` says which: the quants of all blocks, then what else they have, so that threads
/// read neighbouring words of 16 bytes.
struct Planes {
    const u8 *at;
    /// Of the whole weight.
    u64 blocks;
};

/// 32 neighbouring numbers: number i is `scales[i / 16] * quants[i] + minimum`, quants as signed bytes in words.
struct Block {
    u32 quants[8];
    float scales[2];
    float minimum;
};

DEVICE u16 half_at(const u8 *at) { return *(const u16 *)at; }
DEVICE u32 word_at(const u8 *at) { return *(const u32 *)at; }

/// The four signed bytes `a - zero`, of bytes below 64.
DEVICE u32 less(u32 a, u32 zero) { return ((a | 0x80808080u) - zero * 0x01010101u) ^ 0x80808080u; }

/// Bit `first + i` of `bits` becomes bit 4 of byte i.
DEVICE u32 fifth(u32 bits, u32 first) {
    u32 four = bits >> first & 15u;
    return (four & 1u) << 4 | (four & 2u) << 11 | (four & 4u) << 18 | (four & 8u) << 25;
}

/// Scale and minimum of a part of Q4_K and Q5_K: 8 pairs of 6 bits in 12 bytes after two halves.
DEVICE void pair_of(const u8 *block, u32 part, float *scale, float *minimum) {
    const u8 *s = block + 4;
    u32 a, b;
    if (part < 4) {
        a = s[part] & 63u;
        b = s[part + 4] & 63u;
    } else {
        a = (s[part + 4] & 15u) | (s[part - 4] >> 6 << 4);
        b = (u32)(s[part + 4] >> 4) | (s[part] >> 6 << 4);
    }
    *scale = from_half(half_at(block)) * (float)a;
    *minimum = -(from_half(half_at(block + 2)) * (float)b);
}

/// The 32 numbers from `32 * part` on of a block.
template <u32 T> DEVICE Block unpack_part(Planes planes, u64 block, u32 part) {
    const u8 *at = planes.at;
    u64 all = planes.blocks;
    Block out;
    out.minimum = 0.0f;
    if constexpr (T == Q8_0) {
        Quad low = load16(at + block * 32), high = load16(at + block * 32 + 16);
        for (u32 i = 0; i < 4; i++) {
            out.quants[i] = low.words[i];
            out.quants[i + 4] = high.words[i];
        }
        out.scales[0] = out.scales[1] = from_half(half_at(at + all * 32 + block * 2));
    } else if constexpr (T == Q4_0 || T == Q4_1 || T == Q5_0 || T == Q5_1) {
        constexpr bool with_minimum = Form<T>::minimum, with_fifth = T == Q5_0 || T == Q5_1;
        Quad nibbles = load16(at + block * 16);
        u32 fifths = 0;
        at += all * 16;
        if constexpr (with_fifth) {
            fifths = word_at(at + block * 4);
            at += all * 4;
        }
        for (u32 i = 0; i < 4; i++) {
            u32 word = nibbles.words[i];
            out.quants[i] = (word & 0x0f0f0f0fu) | fifth(fifths, 4 * i);
            out.quants[i + 4] = (word >> 4 & 0x0f0f0f0fu) | fifth(fifths, 16 + 4 * i);
        }
        if constexpr (with_minimum) {
            u32 pair = word_at(at + block * 4);
            out.scales[0] = out.scales[1] = from_half((u16)pair);
            out.minimum = from_half((u16)(pair >> 16));
        } else {
            for (u32 i = 0; i < 8; i++) out.quants[i] = less(out.quants[i], with_fifth ? 16 : 8);
            out.scales[0] = out.scales[1] = from_half(half_at(at + block * 2));
        }
    } else if constexpr (T == Q4_K || T == Q5_K) {
        // Multiples of 16 bytes as they are.
        at += block * (T == Q4_K ? 144 : 176);
        const u8 *low = at + (T == Q4_K ? 16 : 48) + part / 2 * 32;
        for (u32 half = 0; half < 2; half++) {
            Quad nibbles = load16(low + half * 16);
            for (u32 i = 0; i < 4; i++) out.quants[half * 4 + i] = nibbles.words[i] >> (part % 2 * 4) & 0x0f0f0f0fu;
            if constexpr (T == Q5_K) {
                Quad bits = load16(at + 16 + half * 16);
                for (u32 i = 0; i < 4; i++) out.quants[half * 4 + i] |= (bits.words[i] >> part & 0x01010101u) << 4;
            }
        }
        pair_of(at, part, &out.scales[0], &out.minimum);
        out.scales[1] = out.scales[0];
    } else {
        u32 half = part / 4, quarter = part % 4;
        const u8 *low = at + block * 128 + half * 64 + quarter % 2 * 32;
        const u8 *high = at + all * 128 + block * 64 + half * 32;
        for (u32 k = 0; k < 2; k++) {
            Quad fours = load16(low + k * 16), twos = load16(high + k * 16);
            for (u32 i = 0; i < 4; i++) {
                u32 four = fours.words[i] >> (quarter / 2 * 4) & 0x0f0f0f0fu;
                u32 two = twos.words[i] >> (quarter * 2) & 0x03030303u;
                out.quants[k * 4 + i] = less(four | two << 4, 32);
            }
        }
        const i8 *scales = (const i8 *)at + all * 192 + block * 16 + half * 8 + quarter * 2;
        float scale = from_half(half_at(at + all * 208 + block * 2));
        out.scales[0] = scale * (float)scales[0];
        out.scales[1] = scale * (float)scales[1];
    }
    return out;
}

/// The 32 numbers from `32 * index` on of row `row`, of `parts` times 32.
template <u32 T> DEVICE Block unpack(Planes planes, u64 row, u32 parts, u32 index) {
    return unpack_part<T>(planes, row * (parts / Form<T>::parts) + index / Form<T>::parts, index % Form<T>::parts);
}

/// Calls `with` with the type as a constant.
#define EACH_QUANTISED(with) with(Q8_0) with(Q4_0) with(Q4_1) with(Q5_0) with(Q5_1) with(Q4_K) with(Q5_K) with(Q6_K)
#define EACH_FLOAT(with) with(F32) with(F16) with(BF16)

/// A number of a row of floats.
template <u32 T> DEVICE float plain(const u8 *row, u32 column) {
    if constexpr (T == F32) return ((const float *)row)[column];
    u16 bits = ((const u16 *)row)[column];
    return T == F16 ? from_half(bits) : float_of((u32)bits << 16);
}

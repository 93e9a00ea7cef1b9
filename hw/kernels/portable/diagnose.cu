// Finding out whether a card can be relied on: patterns in its memory, how fast that is, and products that must come out
// the same each time.
//
// Decides what a pattern is, and how mismatches are told: without atomics, each block has a record of its own, which the
// host adds up. Refuses to know how often anything is repeated and what follows. Blocks have 256 threads.
#include "arithmetic.h"

#define THREADS 256u

/// What a word should hold; numbers of `src/diag/patterns.rs`.
enum Pattern : u32 { CONSTANT, WALKING, ADDRESS, RANDOM };

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014, after Stafford's "Mix13"): each bit of the input moves all of
/// the output. `src/diag/patterns.rs` has the same.
DEVICE u64 mixed(u64 x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/// By its address, so that a word which answers for another one is seen.
DEVICE u64 expected(u32 pattern, u64 seed, const u64 *at) {
    u64 address = (u64)at;
    switch (pattern) {
    case WALKING: return 1ull << ((address / 8 + seed) & 63u);
    case ADDRESS: return address;
    case RANDOM: return mixed(address + seed);
    default: return seed;
    }
}

/// What one thread found wrong.
struct Wrong {
    u64 count, address, expected, found, bits;
};

DEVICE void note(Wrong *wrong, const u64 *at, u64 expected, u64 found) {
    if (expected == found) return;
    if (wrong->count == 0) {
        wrong->address = (u64)at;
        wrong->expected = expected;
        wrong->found = found;
    }
    wrong->count++;
    wrong->bits |= expected ^ found;
}

/// Into the block's record: how many words, the lowest of the threads' first ones, and all bits that were wrong in any.
DEVICE void tell(const Wrong *mine, u64 *records) {
    SHARED u64 all[THREADS * 5];
    u64 *place = all + thread_index() * 5;
    place[0] = mine->count;
    place[1] = mine->address;
    place[2] = mine->expected;
    place[3] = mine->found;
    place[4] = mine->bits;
    barrier();
    if (thread_index() != 0) return;
    u64 *record = records + (u64)block_x() * 5;
    u64 count = 0, bits = 0;
    u32 first = 0;
    for (u32 i = 0; i < thread_count(); i++) {
        const u64 *other = all + i * 5;
        if (other[0] == 0) continue;
        if (count == 0 || other[1] < all[first * 5 + 1]) first = i;
        count += other[0];
        bits |= other[4];
    }
    record[0] = count;
    for (u32 i = 1; i < 4; i++) record[i] = count == 0 ? 0 : all[first * 5 + i];
    record[4] = bits;
}

#define EACH_WORD(i, words)                                                                     \
    for (u64 i = (u64)block_x() * thread_count() + thread_index(); i < (words); \
         i += (u64)block_count() * thread_count())

/// Grid: any number of blocks, and so below.
KERNEL(write_pattern, (u64 *memory, u64 words, u32 pattern, u64 seed, u64 flip)) {
    EACH_WORD(i, words) memory[i] = expected(pattern, seed, memory + i) ^ flip;
}

/// Looks at each word; with `invert`, it then holds the opposite; with `backwards`, from the last word to the first.
KERNEL(check_pattern, (u64 *memory, u64 words, u32 pattern, u64 seed, u64 flip, u32 invert, u32 backwards, u64 *records)) {
    Wrong wrong = {0, 0, 0, 0, 0};
    EACH_WORD(i, words) {
        u64 *at = memory + (backwards ? words - 1 - i : i);
        u64 should = expected(pattern, seed, at) ^ flip;
        note(&wrong, at, should, *at);
        if (invert) *at = ~should;
    }
    tell(&wrong, records);
}

/// Where `memory` differs from `reference`.
KERNEL(compare_words, (const u64 *memory, const u64 *reference, u64 words, u64 *records)) {
    Wrong wrong = {0, 0, 0, 0, 0};
    EACH_WORD(i, words) note(&wrong, memory + i, reference[i], memory[i]);
    tell(&wrong, records);
}

/// Two words, which move together.
typedef u64 Pair __attribute__((vector_size(16)));

KERNEL(copy_pairs, (Pair *to, const Pair *from, u64 pairs)) {
    EACH_WORD(i, pairs) to[i] = from[i];
}

KERNEL(write_pairs, (Pair *to, u64 pairs, u64 word)) {
    EACH_WORD(i, pairs) to[i] = Pair{word, word};
}

/// All words exclusively or-ed, a word for each thread of the grid, so that no read can be left out.
KERNEL(read_pairs, (const Pair *from, u64 pairs, u64 *out)) {
    u64 sum = 0;
    EACH_WORD(i, pairs) {
        Pair pair = from[i];
        sum ^= pair[0] ^ pair[1];
    }
    out[(u64)block_x() * thread_count() + thread_index()] = sum;
}

/// Numbers for a product: whole ones from -8 to 8, of which sums are exact, or any from -1 to 1.
KERNEL(fill_factor, (float *to, u64 count, u64 seed, u32 whole)) {
    EACH_WORD(i, count) {
        u64 random = mixed(i + seed);
        to[i] = whole ? (float)((i32)(random % 17) - 8) : (float)(i32)(random >> 40) * 1.1920929e-7f - 1.0f;
    }
}

#define TILE 128u
#define DEEP 8u

/// out = a * b, squares of `edge` columns, a multiple of 128. A block has a tile of 128 by 128 numbers, a thread 8 by 8 of
/// them, 16 apart. Each sum is taken in the order of its columns, so that its bits are the same each time. Grid: tiles
/// across, tiles down.
KERNEL(multiply_squares, (float *out, const float *a, const float *b, u32 edge)) {
    SHARED float left[DEEP * TILE];
    SHARED float right[DEEP * TILE];
    u32 thread = thread_index(), x = thread % 16, y = thread / 16;
    u64 row = (u64)block_y() * TILE, column = (u64)block_x() * TILE;
    float sums[8][8];
    UNROLL for (u32 i = 0; i < 8; i++) {
        UNROLL for (u32 j = 0; j < 8; j++) sums[i][j] = 0.0f;
    }
    for (u32 start = 0; start < edge; start += DEEP) {
        barrier();
        UNROLL for (u32 i = 0; i < DEEP * TILE / THREADS; i++) {
            u32 at = thread + i * THREADS;
            left[at % DEEP * TILE + at / DEEP] = a[(row + at / DEEP) * edge + start + at % DEEP];
            right[at] = b[(u64)(start + at / TILE) * edge + column + at % TILE];
        }
        barrier();
        for (u32 k = 0; k < DEEP; k++) {
            float across[8];
            UNROLL for (u32 j = 0; j < 8; j++) across[j] = right[k * TILE + x + 16 * j];
            UNROLL for (u32 i = 0; i < 8; i++) {
                float down = left[k * TILE + y + 16 * i];
                UNROLL for (u32 j = 0; j < 8; j++) sums[i][j] = fused(down, across[j], sums[i][j]);
            }
        }
    }
    UNROLL for (u32 i = 0; i < 8; i++) {
        UNROLL for (u32 j = 0; j < 8; j++) out[(row + y + 16 * i) * edge + column + x + 16 * j] = sums[i][j];
    }
}

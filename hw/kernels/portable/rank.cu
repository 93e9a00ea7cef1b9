// The largest numbers of rows, and the weight of all of them, so that rows of logits need not leave the card.
//
// Decides that a block of threads has a row. Each thread puts what is above the least that is known to stay into slots of its
// own; when a thread's are full, all slots are sorted (Batcher's bitonic sort) and the 256 largest stay, one in each thread's
// first slot.
//
// What bounds it: reading a row by one multiprocessor; of random numbers, all but some hundred are only compared.
#include "arithmetic.h"

/// The largest that are kept, as many as a block has threads.
#define RANKED ROW_THREADS
/// Slots of a thread, and numbers that it looks at before it looks whether they are full.
#define SLOTS 8u
#define AT_ONCE 4u
#define KEYS (RANKED * SLOTS)

/// Keys in the order of ranks, the largest first: larger numbers, then lower columns; NaN is less than every number, and
/// more than nothing, which is 0.
DEVICE u64 key_of(float value, u32 column) {
    u32 bits = value == 0.0f ? 0 : bits_of(value);
    u32 order = is_nan(value) ? 0 : bits >> 31 ? ~bits : bits | 0x80000000u;
    return (u64)order << 32 | ~column;
}

/// Sorts all keys, the largest first. Every thread takes part.
DEVICE void sort(u64 *keys) {
    for (u32 size = 2; size <= KEYS; size *= 2) {
        for (u32 apart = size / 2; apart > 0; apart /= 2) {
            barrier();
            for (u32 i = thread_index(); i < KEYS / 2; i += RANKED) {
                u32 low = i / apart * apart * 2 + i % apart, high = low + apart;
                bool falling = (low & size) == 0;
                u64 a = keys[low], b = keys[high];
                if ((a < b) == falling) {
                    keys[low] = b;
                    keys[high] = a;
                }
            }
        }
    }
    barrier();
}

/// Of each row its `RANKED` largest columns with their values, in order, those that are not there with a column of
/// 0xffffffff; and three numbers: the largest that is no NaN, the sum of exp((x - largest) / temperature) over those that are
/// none, and how many are. Grid: rows; `RANKED` threads.
KERNEL(rank_rows, (u32 *ranked, float *values, float *weights, const float *x, u32 x_stride, u32 columns,
                   const float *temperatures)) {
    SHARED u64 keys[KEYS];
    u32 thread = thread_index(), row = block_x();
    x += (u64)row * x_stride;
    float inverse = 1.0f / temperatures[row];
    float most = float_of(0xff800000u), sum = 0.0f;
    u32 nans = 0, filled = 0;
    u64 least = 0;
    for (u32 slot = 0; slot < SLOTS; slot++) keys[slot * RANKED + thread] = 0;
    for (u32 first = 0; first < columns; first += RANKED * AT_ONCE) {
        float some[AT_ONCE];
        UNROLL
        for (u32 i = 0; i < AT_ONCE; i++) {
            u32 column = first + i * RANKED + thread;
            some[i] = column < columns ? x[column] : 0.0f;
        }
        UNROLL
        for (u32 i = 0; i < AT_ONCE; i++) {
            u32 column = first + i * RANKED + thread;
            if (column >= columns) continue;
            float value = some[i];
            u64 key = key_of(value, column);
            if (key > least) keys[filled++ * RANKED + thread] = key;
            if (is_nan(value)) {
                nans++;
            } else if (value > most) {
                // What is below the most before fades, but nothing has come before the first.
                sum = (sum == 0.0f ? 0.0f : sum * exponential((most - value) * inverse)) + 1.0f;
                most = value;
            } else {
                sum += value == most ? 1.0f : exponential((value - most) * inverse);
            }
        }
        if (block_largest((float)filled) > (float)(SLOTS - AT_ONCE)) {
            sort(keys);
            least = keys[RANKED - 1];
            barrier();
            for (u32 slot = 1; slot < SLOTS; slot++) keys[slot * RANKED + thread] = 0;
            filled = 1;
        }
    }
    float all = block_largest(most);
    sum = sum == 0.0f ? 0.0f : sum * (most == all ? 1.0f : exponential((most - all) * inverse));
    sum = block_sum(sum);
    float not_numbers = block_sum((float)nans);
    sort(keys);
    u64 key = keys[thread];
    u32 column = ~(u32)key;
    u64 place = (u64)row * RANKED + thread;
    ranked[place] = key == 0 ? 0xffffffffu : column;
    values[place] = key == 0 ? 0.0f : x[column];
    if (thread == 0) {
        weights[row * 3] = all;
        weights[row * 3 + 1] = sum;
        weights[row * 3 + 2] = not_numbers;
    }
}

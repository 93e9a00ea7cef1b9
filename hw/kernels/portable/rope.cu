// Rotary position embedding.
#include "arithmetic.h"

/// Turns the first `2 * pairs` columns of each head by the angles of a row's table, cosines and then sines of all pairs; the rest
/// is copied. Pairs are neighbours, or apart by `pairs`. Grid: rows.
KERNEL(rope, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, u32 head_width, u32 pairs,
              u32 neighbours, const float *table)) {
    x += (u64)block_x() * x_stride;
    out += (u64)block_x() * out_stride;
    table += (u64)block_x() * 2 * pairs;
    for (u32 i = thread_index(); i < columns; i += thread_count()) {
        u32 place = i % head_width;
        if (place >= 2 * pairs) {
            out[i] = x[i];
            continue;
        }
        u32 pair = neighbours ? place / 2 : place % pairs;
        bool second = neighbours ? place % 2 == 1 : place >= pairs;
        u32 distance = neighbours ? 1 : pairs;
        float cosine = table[pair], sine = table[pairs + pair];
        out[i] = second ? fused(x[i - distance], sine, x[i] * cosine) : fused(x[i + distance], -sine, x[i] * cosine);
    }
}

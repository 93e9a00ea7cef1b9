// Rows that are picked, gathered or put together.
#include "blocks.h"

/// `out[r]` is row `picks[r]` of a table; grid: rows.
template <u32 T>
DEVICE void embed(float *out, u32 stride, const u8 *table, u64 row_bytes, u32 columns, const u32 *picks, u64 rows) {
    u32 pick = picks[block_x()];
    out += (u64)block_x() * stride;
    if constexpr (T == F32 || T == F16 || T == BF16) {
        const u8 *row = table + pick * row_bytes;
        for (u32 i = thread_index(); i < columns; i += thread_count()) out[i] = plain<T>(row, i);
    } else {
        u32 parts = columns / 32;
        Planes planes = {table, rows * (parts / Form<T>::parts)};
        for (u32 index = thread_index(); index < parts; index += thread_count()) {
            Block block = unpack<T>(planes, pick, parts, index);
            for (u32 i = 0; i < 32; i++) {
                float quant = (float)(i8)(block.quants[i / 4] >> (i % 4 * 8));
                out[index * 32 + i] = block.scales[i / 16] * quant + block.minimum;
            }
        }
    }
}

#define EMBED(T)                                                                                                  \
    KERNEL(embed_##T, (float *out, u32 stride, const u8 *table, u64 row_bytes, u32 columns, const u32 *picks,     \
                       u64 rows)) {                                                                               \
        embed<T>(out, stride, table, row_bytes, columns, picks, rows);                                            \
    }
EACH_FLOAT(EMBED)
EACH_QUANTISED(EMBED)

/// `out[r]` is row `picks[r]` of x; grid: rows.
KERNEL(gather, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, const u32 *picks)) {
    x += (u64)picks[block_x()] * x_stride;
    out += (u64)block_x() * out_stride;
    for (u32 i = thread_index(); i < columns; i += thread_count()) out[i] = x[i];
}

/// Of each sequence the mean of its rows (mode 0), its first (1) or its last (2); grid: sequences.
KERNEL(pool, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, const u32 *firsts,
              const u32 *counts, u32 mode)) {
    u32 count = counts[block_x()];
    u32 from = mode == 2 ? count - 1 : 0, to = mode == 1 ? 1 : count;
    x += (u64)firsts[block_x()] * x_stride;
    out += (u64)block_x() * out_stride;
    for (u32 i = thread_index(); i < columns; i += thread_count()) {
        float sum = 0.0f;
        for (u32 row = from; row < to; row++) sum += x[(u64)row * x_stride + i];
        out[i] = to - from == 1 ? sum : sum / (float)count;
    }
}

// x * transpose(weight) + bias.
//
// Decides how products of few rows are dealt to threads: a group has a weight row, its threads have blocks of columns in
// turn, and each block meets up to eight rows of activations. With weights of bytes and less, activations are rounded first,
// as `src/reference/matmul.rs` says.
//
// A sum's order is the same whatever the number of rows, here and in `tile.cu`. Pair number p of blocks belongs to stream
// p modulo 32; the pairs of a stream are added one after the other, then every eighth stream, then the eight sums of these.
//
// What bounds it: with one row of activations, reading the weights.
#include "blocks.h"

/// Rows of activations that meet a block of weights at once.
#define TOGETHER 8u

/// Below it, the inverse of a scale would overflow.
#define SMALLEST 1e-30f

/// Rounds rows of x to bytes, 32 columns with one scale: the largest magnitude becomes 127. A block with an infinity or a
/// NaN gets a NaN scale. `sums` are scales times the sum of a block's bytes. A group has a block; grid: rows, blocks by
/// groups of a block of threads.
KERNEL(round_rows, (u32 *bytes, float *scales, float *sums, const float *x, u32 x_stride, u32 blocks)) {
    u32 group = block_y() * (thread_count() / 32) + thread_index() / 32, lane = thread_index() % 32;
    // All threads of a group go the same way.
    if (group >= blocks) return;
    float value = x[(u64)block_x() * x_stride + group * 32 + lane];
    bool infinite = group_sum(is_finite(value) ? 0 : 1) > 0;
    float most = group_largest(magnitude(value));
    bool empty = infinite || most < SMALLEST;
    i32 quant = empty ? 0 : (i32)rounded(value * (127.0f / most));
    i32 total = group_sum(quant);
    u32 word = (u32)quant & 0xffu;
    word |= exchange(word, 1) << 8;
    word |= exchange(word, 2) << 16;
    u64 place = (u64)block_x() * blocks + group;
    // Of four threads, the first has its own byte lowest.
    if (lane % 4 == 0) bytes[place * 8 + lane / 4] = word;
    if (lane == 0) {
        float scale = infinite ? float_of(0x7fc00000u) : most < SMALLEST ? 0.0f : most * (1.0f / 127.0f);
        scales[place] = scale;
        sums[place] = scale * (float)total;
    }
}

/// What a product writes, and where.
struct Out {
    float *values;
    u32 stride;
    const float *bias;
};

/// One of up to three products of the same rows, which start together: small weights alone leave most of a card idle.
struct Target {
    Out out;
    const u8 *weight;
    u32 rows;
};

/// Adds up over the group, and one thread writes.
DEVICE void put(Out out, u32 row, u32 column, float sum) {
    sum = group_sum_in_order(sum);
    if (thread_index() % 32 == 0) {
        out.values[(u64)row * out.stride + column] = out.bias ? sum + out.bias[column] : sum;
    }
}

template <u32 T>
DEVICE void quantised(Out out, const u8 *weight, u32 weight_rows, u32 blocks, const u32 *bytes, const float *scales,
                      const float *sums, u32 rows) {
    u32 column = block_x() * (thread_count() / 32) + thread_index() / 32, lane = thread_index() % 32;
    if (column >= weight_rows) return;
    u32 first = block_y() * TOGETHER, count = rows - first < TOGETHER ? rows - first : TOGETHER;
    Planes planes = {weight, (u64)weight_rows * (blocks / Form<T>::parts)};
    float parts[TOGETHER] = {};
    for (u32 pair = lane; pair * 2 < blocks; pair += 32) {
        UNROLL
        for (u32 which = 0; which < 2; which++) {
            u32 index = pair * 2 + which;
            if (index >= blocks) continue;
            Block block = unpack<T>(planes, column, blocks, index);
            UNROLL
            for (u32 r = 0; r < TOGETHER; r++) {
                if (r >= count) continue;
                u64 place = (u64)(first + r) * blocks + index;
                Quad x[2] = {load16(bytes + place * 8), load16(bytes + place * 8 + 4)};
                i32 low = 0, high = 0;
                for (u32 i = 0; i < 4; i++) {
                    low = dot4(block.quants[i], x[0].words[i], low);
                    high = dot4(block.quants[i + 4], x[1].words[i], high);
                }
                if constexpr (T == Q6_K) {
                    parts[r] = fused((float)low, block.scales[0] * scales[place], parts[r]);
                    parts[r] = fused((float)high, block.scales[1] * scales[place], parts[r]);
                } else {
                    parts[r] = fused((float)(low + high), block.scales[0] * scales[place], parts[r]);
                }
                if constexpr (Form<T>::minimum) parts[r] = fused(block.minimum, sums[place], parts[r]);
            }
        }
    }
    UNROLL
    for (u32 r = 0; r < TOGETHER; r++) {
        if (r < count) put(out, first + r, column, parts[r]);
    }
}

/// Grid: weight rows by groups of a block of threads, rows of activations by `TOGETHER`, products.
#define QUANTISED(T)                                                                                                   \
    KERNEL(matmul_##T, (float *values, u32 stride, const float *bias, const u8 *weight, u64 row_bytes, u32 weight_rows, \
                        u32 blocks, const u32 *bytes, const float *scales, const float *sums, u32 rows,                \
                        float *second_values, u32 second_stride, const float *second_bias, const u8 *second_weight,    \
                        u32 second_rows, float *third_values, u32 third_stride, const float *third_bias,               \
                        const u8 *third_weight, u32 third_rows)) {                                                     \
        (void)row_bytes;                                                                                               \
        Target target = {{values, stride, bias}, weight, weight_rows};                                                 \
        if (block_z() == 1) target = {{second_values, second_stride, second_bias}, second_weight, second_rows};        \
        if (block_z() == 2) target = {{third_values, third_stride, third_bias}, third_weight, third_rows};             \
        quantised<T>(target.out, target.weight, target.rows, blocks, bytes, scales, sums, rows);                       \
    }
EACH_QUANTISED(QUANTISED)

template <u32 T>
DEVICE void floats(Out out, const u8 *weight, u64 row_bytes, u32 weight_rows, u32 columns, const float *x, u32 x_stride,
                   u32 rows) {
    u32 column = block_x() * (thread_count() / 32) + thread_index() / 32, lane = thread_index() % 32;
    if (column >= weight_rows) return;
    u32 first = block_y() * TOGETHER, count = rows - first < TOGETHER ? rows - first : TOGETHER;
    const u8 *row = weight + column * row_bytes;
    float parts[TOGETHER] = {};
    for (u32 i = lane; i < columns; i += 32) {
        float number = plain<T>(row, i);
    UNROLL
        for (u32 r = 0; r < TOGETHER; r++) {
            if (r >= count) break;
            parts[r] = fused(number, x[(u64)(first + r) * x_stride + i], parts[r]);
        }
    }
    UNROLL
    for (u32 r = 0; r < TOGETHER; r++) {
        if (r < count) put(out, first + r, column, parts[r]);
    }
}

#define FLOATS(T)                                                                                                     \
    KERNEL(matmul_##T, (float *values, u32 stride, const float *bias, const u8 *weight, u64 row_bytes, u32 weight_rows, \
                        u32 columns, const float *x, u32 x_stride, u32 rows)) {                                        \
        floats<T>(Out{values, stride, bias}, weight, row_bytes, weight_rows, columns, x, x_stride, rows);              \
    }
EACH_FLOAT(FLOATS)

// Norms and softmax: one block of threads for each row.
#include "arithmetic.h"

#define EACH_COLUMN(count) for (u32 i = thread_index(); i < count; i += thread_count())

/// Root mean square norm of each group of columns; without a weight, null. Grid: groups, rows.
KERNEL(rms_norm, (float *out, u32 out_stride, const float *x, u32 x_stride, const float *weight, float epsilon, u32 group)) {
    x += (u64)block_y() * x_stride + (u64)block_x() * group;
    out += (u64)block_y() * out_stride + (u64)block_x() * group;
    float sum = 0.0f;
    EACH_COLUMN(group) sum = fused(x[i], x[i], sum);
    float factor = 1.0f / square_root(block_sum(sum) / (float)group + epsilon);
    EACH_COLUMN(group) out[i] = weight ? x[i] * factor * weight[i] : x[i] * factor;
}

/// Layer norm of each row; without a bias, null. Grid: rows.
KERNEL(layer_norm, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, const float *weight,
                    const float *bias, float epsilon)) {
    x += (u64)block_x() * x_stride;
    out += (u64)block_x() * out_stride;
    float sum = 0.0f;
    EACH_COLUMN(columns) sum += x[i];
    float mean = block_sum(sum) / (float)columns;
    float squares = 0.0f;
    EACH_COLUMN(columns) squares = fused(x[i] - mean, x[i] - mean, squares);
    float factor = 1.0f / square_root(block_sum(squares) / (float)columns + epsilon);
    EACH_COLUMN(columns) out[i] = fused((x[i] - mean) * factor, weight[i], bias ? bias[i] : 0.0f);
}

/// Each row by its length; a row of zeros stays. Grid: rows.
KERNEL(normalise, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns)) {
    x += (u64)block_x() * x_stride;
    out += (u64)block_x() * out_stride;
    float most = 0.0f;
    EACH_COLUMN(columns) most = is_nan(most) ? most : larger(most, magnitude(x[i]));
    most = block_largest(most);
    // Scaled by a power of two around one, so that squares neither vanish nor become infinite.
    i32 exponent = (i32)(bits_of(most) >> 23 & 0xffu) - 127;
    float down = power_of_two((float)(exponent < -126 ? 126 : exponent > 126 ? -126 : -exponent));
    float sum = 0.0f;
    EACH_COLUMN(columns) sum = fused(x[i] * down, x[i] * down, sum);
    sum = block_sum(sum);
    float factor = sum == 0.0f ? 0.0f : 1.0f / square_root(sum);
    EACH_COLUMN(columns) out[i] = x[i] * down * factor;
}

/// Grid: rows.
KERNEL(softmax, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns)) {
    x += (u64)block_x() * x_stride;
    out += (u64)block_x() * out_stride;
    float most = float_of(0xff800000u);
    EACH_COLUMN(columns) most = is_nan(most) ? most : larger(most, x[i]);
    most = block_largest(most);
    float sum = 0.0f;
    EACH_COLUMN(columns) sum += exponential(x[i] - most);
    float factor = 1.0f / block_sum(sum);
    EACH_COLUMN(columns) out[i] = exponential(x[i] - most) * factor;
}

// Functions of one or two numbers, element by element; grid: rows.
#include "arithmetic.h"

/// Numbers of `src/op.rs`'s functions, in its order.
enum Function : u32 { SILU, GELU, GELU_TANH, GELU_QUICK, RELU, TANH, SIGMOID };

DEVICE float apply(u32 function, float x) {
    switch (function) {
    case SILU: return x * sigmoid(x);
    case GELU: return 0.5f * x * complementary_error(x * -0.70710678f);
    // 0.5 * (1 + tanh(y)) is sigmoid(2 y), which keeps its precision where tanh nears -1.
    case GELU_TANH: return x * sigmoid(2.0f * 0.7978846f * fused(0.044715f * x * x, x, x));
    case GELU_QUICK: return x * sigmoid(1.702f * x);
    case RELU: return is_nan(x) || x > 0.0f ? x : 0.0f;
    case TANH: return hyperbolic_tangent(x);
    default: return sigmoid(x);
    }
}

#define EACH for (u32 i = thread_index(); i < columns; i += thread_count())

KERNEL(activate, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, u32 function)) {
    u64 row = block_x();
    EACH out[row * out_stride + i] = apply(function, x[row * x_stride + i]);
}

/// function(gate) * up
KERNEL(gated, (float *out, u32 out_stride, const float *gate, u32 gate_stride, const float *up, u32 up_stride, u32 columns,
               u32 function)) {
    u64 row = block_x();
    EACH out[row * out_stride + i] = apply(function, gate[row * gate_stride + i]) * up[row * up_stride + i];
}

KERNEL(add, (float *out, u32 out_stride, const float *a, u32 a_stride, const float *b, u32 b_stride, u32 columns)) {
    u64 row = block_x();
    EACH out[row * out_stride + i] = a[row * a_stride + i] + b[row * b_stride + i];
}

KERNEL(multiply, (float *out, u32 out_stride, const float *a, u32 a_stride, const float *b, u32 b_stride, u32 columns)) {
    u64 row = block_x();
    EACH out[row * out_stride + i] = a[row * a_stride + i] * b[row * b_stride + i];
}

KERNEL(scale, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, float by)) {
    u64 row = block_x();
    EACH out[row * out_stride + i] = x[row * x_stride + i] * by;
}

/// by * tanh(x / by)
KERNEL(softcap, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, float by)) {
    u64 row = block_x();
    EACH out[row * out_stride + i] = by * hyperbolic_tangent(x[row * x_stride + i] / by);
}

KERNEL(add_vector, (float *out, u32 out_stride, const float *x, u32 x_stride, u32 columns, const float *by)) {
    u64 row = block_x();
    EACH out[row * out_stride + i] = x[row * x_stride + i] + by[i];
}

// x * transpose(weight) + bias for many rows, of weights of bytes and less.
//
// Decides the tiles: a block of threads has 128 weight rows and 64 rows of activations, each of its eight groups 32 of
// either, and all numbers that a pair of blocks of columns takes part in lie in shared memory meanwhile. Sums of 32 products
// are exact; their order is that of `matmul.cu`, so that a row is the same to the bit wherever it was computed.
//
// What bounds it: turning exact sums into floats, three instructions for each where a unit for matrices takes one to
// multiply for 32 of them.
#include "blocks.h"

#define TILE_WEIGHTS 128u
#define TILE_X 64u
/// Words of two blocks of bytes, and four more, so that the lanes of a group read different banks.
#define TILE_WORDS 20u

/// What a thread has of its group's 32 by 32 sums: 2 times 4 matrices of 16 by 8, 4 numbers of each.
struct Sums {
    float of[32];
};

/// What of a pair of blocks a block of threads has at hand. `Halves` is how many scales a block has.
template <u32 Halves> struct Tile {
    u32 weights[TILE_WEIGHTS][TILE_WORDS];
    float scales[2][Halves][TILE_WEIGHTS], minima[2][TILE_WEIGHTS];
    u32 x[TILE_X][TILE_WORDS];
    float x_scales[2][TILE_X], x_sums[2][TILE_X];
};

/// Rounded activations.
struct Rounded {
    const u32 *bytes;
    const float *scales, *sums;
    u32 rows;
};

template <u32 T, u32 Halves>
DEVICE void fill(Tile<Halves> &tile, Planes planes, u32 weight_rows, u32 blocks, Rounded x, u32 pair) {
    u32 thread = thread_index();
    {
        u32 row = thread % TILE_WEIGHTS, which = thread / TILE_WEIGHTS;
        u32 column = block_x() * TILE_WEIGHTS + row, index = pair * 2 + which;
        Block block = {};
        if (column < weight_rows && index < blocks) block = unpack<T>(planes, column, blocks, index);
        for (u32 i = 0; i < 8; i++) tile.weights[row][which * 8 + i] = block.quants[i];
        for (u32 h = 0; h < Halves; h++) tile.scales[which][h][row] = block.scales[h];
        if constexpr (Form<T>::minimum) tile.minima[which][row] = block.minimum;
    }
    u32 row = thread / 4, which = thread / 2 % 2, half = thread % 2;
    u32 from = block_y() * TILE_X + row, index = pair * 2 + which;
    bool here = from < x.rows && index < blocks;
    u64 place = (u64)from * blocks + index;
    Quad quad = {};
    if (here) quad = load16(x.bytes + place * 8 + half * 4);
    for (u32 i = 0; i < 4; i++) tile.x[row][which * 8 + half * 4 + i] = quad.words[i];
    if (half == 0) {
        tile.x_scales[which][row] = here ? x.scales[place] : 0.0f;
        if constexpr (Form<T>::minimum) tile.x_sums[which][row] = here ? x.sums[place] : 0.0f;
    }
}

/// Sums of 32 products, or of 16 and 16: of weight rows `row` and `row + 8` and of activation rows `column` and
/// `column + 1`, as `multiply_add` deals them to lanes.
template <u32 Halves>
DEVICE void products(i32 (&out)[Halves][4], const Tile<Halves> &tile, u32 which, u32 first_weight, u32 first_x) {
    u32 lane = thread_index() % 32, g = lane / 4, t = lane % 4;
    UNROLL
    for (u32 h = 0; h < Halves; h++) {
        UNROLL
        for (u32 i = 0; i < 4; i++) out[h][i] = 0;
    }
#if defined(HAS_MATRIX)
    const u32 *low = tile.weights[first_weight + g] + which * 8 + t, *high = tile.weights[first_weight + g + 8] + which * 8 + t;
    const u32 *x = tile.x[first_x + g] + which * 8 + t;
    if constexpr (Halves == 1) {
        u32 a[4] = {low[0], high[0], low[4], high[4]}, b[2] = {x[0], x[4]};
        multiply_add(out[0], a, b);
    } else {
        UNROLL
        for (u32 h = 0; h < 2; h++) {
            u32 a[2] = {low[h * 4], high[h * 4]};
            multiply_add(out[h], a, x[h * 4]);
        }
    }
#else
    UNROLL
    for (u32 i = 0; i < 4; i++) {
        const u32 *weights = tile.weights[first_weight + g + i / 2 * 8] + which * 8;
        const u32 *x = tile.x[first_x + t * 2 + i % 2] + which * 8;
        UNROLL
        for (u32 h = 0; h < Halves; h++) {
            UNROLL_DOT4
            for (u32 k = h * 8 / Halves; k < (h + 1) * 8 / Halves; k++) out[h][i] = dot4(weights[k], x[k], out[h][i]);
        }
    }
#endif
}

template <u32 T>
DEVICE void tiled(float *values, u32 stride, const float *bias, const u8 *weight, u32 weight_rows, u32 blocks, Rounded x) {
    constexpr u32 Halves = T == Q6_K ? 2 : 1;
    SHARED Tile<Halves> tile;
    u32 group = thread_index() / 32, lane = thread_index() % 32, g = lane / 4, t = lane % 4;
    u32 first_weight = group / 2 * 32, first_x = group % 2 * 32;
    Planes planes = {weight, (u64)weight_rows * (blocks / Form<T>::parts)};
    Sums total = {};
    for (u32 first = 0; first < 8 && first * 2 < blocks; first++) {
        Sums eighth = {};
        for (u32 stream = first; stream < 32 && stream * 2 < blocks; stream += 8) {
            Sums sums = {};
            for (u32 pair = stream; pair * 2 < blocks; pair += 32) {
                barrier();
                fill<T>(tile, planes, weight_rows, blocks, x, pair);
                barrier();
                for (u32 which = 0; which < 2; which++) {
                    UNROLL
                    for (u32 m = 0; m < 2; m++) {
                        UNROLL
                        for (u32 n = 0; n < 4; n++) {
                            i32 exact[Halves][4];
                            products<Halves>(exact, tile, which, first_weight + m * 16, first_x + n * 8);
                            UNROLL
                            for (u32 i = 0; i < 4; i++) {
                                u32 row = first_weight + m * 16 + g + i / 2 * 8, column = first_x + n * 8 + t * 2 + i % 2;
                                float &sum = sums.of[m * 16 + n * 4 + i], scale = tile.x_scales[which][column];
                                UNROLL
                                for (u32 h = 0; h < Halves; h++) {
                                    sum = fused((float)exact[h][i], tile.scales[which][h][row] * scale, sum);
                                }
                                if constexpr (Form<T>::minimum) {
                                    sum = fused(tile.minima[which][row], tile.x_sums[which][column], sum);
                                }
                            }
                        }
                    }
                }
            }
            UNROLL
            for (u32 i = 0; i < 32; i++) eighth.of[i] += sums.of[i];
        }
        UNROLL
        for (u32 i = 0; i < 32; i++) total.of[i] += eighth.of[i];
    }
    UNROLL
    for (u32 i = 0; i < 32; i++) {
        u32 m = i / 16, n = i / 4 % 4, k = i % 4;
        u32 column = block_x() * TILE_WEIGHTS + first_weight + m * 16 + g + k / 2 * 8;
        u32 row = block_y() * TILE_X + first_x + n * 8 + t * 2 + k % 2;
        if (column >= weight_rows || row >= x.rows) continue;
        float sum = total.of[i];
        values[(u64)row * stride + column] = bias ? sum + bias[column] : sum;
    }
}

/// Grid: weight rows by `TILE_WEIGHTS`, rows of activations by `TILE_X`; 256 threads. Parameters are those of `matmul_`.
#define TILED(T)                                                                                                      \
    KERNEL(tile_##T, (float *values, u32 stride, const float *bias, const u8 *weight, u64 row_bytes, u32 weight_rows, \
                      u32 blocks, const u32 *bytes, const float *scales, const float *sums, u32 rows)) {              \
        (void)row_bytes;                                                                                              \
        tiled<T>(values, stride, bias, weight, weight_rows, blocks, Rounded{bytes, scales, sums, rows});              \
    }
EACH_QUANTISED(TILED)

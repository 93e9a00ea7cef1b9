// Grouped-query attention over the paged cache or over the batch's own rows.
//
// Decides what a cache looks like on a card: page, head, token of the page, column, for keys and values alike; with scales,
// blocks of 32 columns, a half and 32 bytes, as the GGUF format has them. Scores are taken a block of threads at a time, and
// sums so far fade when a larger score comes (Milakov and Gimelshein 2018).
//
// What bounds it: with few tokens, reading keys and values.
#include "blocks.h"

/// How a cache keeps numbers, as `src/dtype.rs` counts.
DEVICE u32 cached_row_bytes(u32 type, u32 width) { return type == F32 ? width * 4 : type == F16 ? width * 2 : width / 32 * 34; }

DEVICE float cached(u32 type, const u8 *row, u32 column) {
    if (type == F32) return ((const float *)row)[column];
    if (type == F16) return from_half(((const u16 *)row)[column]);
    const u8 *block = row + column / 32 * 34;
    return from_half(half_at(block)) * (float)(i8)block[2 + column % 32];
}

/// What a batch says of its tokens, as lists in the device's memory.
struct Facts {
    /// Of each token.
    const u32 *positions, *owners;
    /// Of each sequence: its first row, its rows, and where its pages begin in `pages`.
    const u32 *firsts, *counts, *page_firsts;
    const u32 *pages;
};

/// A token's row of one head in a cache.
DEVICE u64 slot_of(Facts facts, u32 owner, u32 place, u32 page_tokens, u32 heads, u32 head) {
    u64 page = facts.pages[facts.page_firsts[owner] + place / page_tokens];
    return (page * heads + head) * page_tokens + place % page_tokens;
}

/// Writes a row of one head. A group takes 32 columns at a time.
DEVICE void keep(u32 type, u8 *row, const float *x, u32 width) {
    u32 lane = thread_index() % 32;
    for (u32 first = thread_index() / 32 * 32; first < width; first += thread_count()) {
        u32 column = first + lane;
        if (type != Q8_0) {
            if (column >= width) continue;
            if (type == F32) ((float *)row)[column] = x[column];
            else ((u16 *)row)[column] = to_half(x[column]);
            continue;
        }
        // Widths are whole blocks here.
        float value = x[column];
        bool infinite = group_sum(is_finite(value) ? 0 : 1) > 0;
        float most = group_largest(magnitude(value));
        u8 *block = row + first / 32 * 34;
        u16 scale = to_half(infinite ? float_of(0x7fc00000u) : most / 127.0f);
        float step = from_half(scale);
        float steps = infinite || step == 0.0f ? 0.0f : rounded(value / step);
        i32 quant = (i32)(steps > 127.0f ? 127.0f : steps < -127.0f ? -127.0f : steps);
        block[2 + lane] = (u8)quant;
        if (lane == 0) {
            block[0] = (u8)scale;
            block[1] = (u8)(scale >> 8);
        }
    }
}

/// Keys and values of new tokens into their pages; grid: rows, heads.
KERNEL(keep_keys, (u8 *keys, u8 *values, u32 type, const float *key, u32 key_stride, u32 key_width, const float *value,
                   u32 value_stride, u32 value_width, u32 heads, u32 page_tokens, const u32 *positions, const u32 *owners,
                   const u32 *page_firsts, const u32 *pages)) {
    u32 row = block_x(), head = block_y();
    Facts facts = {positions, owners, nullptr, nullptr, page_firsts, pages};
    u64 slot = slot_of(facts, owners[row], positions[row], page_tokens, heads, head);
    keep(type, keys + slot * cached_row_bytes(type, key_width), key + (u64)row * key_stride + head * key_width, key_width);
    keep(type, values + slot * cached_row_bytes(type, value_width), value + (u64)row * value_stride + head * value_width,
         value_width);
}

/// Threads of a block, and places that it scores at once.
#define SPAN 128u
/// Columns of a head, at most.
#define WIDTH_MAX 1024u

/// What an attention is, apart from where things are.
struct Shape {
    u32 heads, kv_heads, key_width, value_width;
    u32 causal;
    /// Places that are seen, counted back; 0 for all.
    u32 window;
    float scale;
    /// 0 for none.
    float softcap;
};

/// Keys and values of one head of one sequence.
struct Source {
    const u8 *keys, *values;
    /// Bytes from one row to the next; of a cache, of a head's row.
    u64 key_step, value_step;
    u32 type;
    /// 0 without a cache: then rows follow each other.
    u32 page_tokens;
    u32 kv_heads, head, owner;
    Facts facts;
};

DEVICE u64 place_in(Source from, u32 place) {
    if (from.page_tokens == 0) return from.facts.firsts[from.owner] + place;
    return slot_of(from.facts, from.owner, place, from.page_tokens, from.kv_heads, from.head);
}

DEVICE void attend(float *out, const float *query, Shape shape, Source from, u32 begin, u32 end) {
    SHARED float asked[WIDTH_MAX];
    SHARED float weights[SPAN];
    SHARED u64 places[SPAN];
    u32 thread = thread_index();
    for (u32 i = thread; i < shape.key_width; i += SPAN) asked[i] = query[i];
    float sums[WIDTH_MAX / SPAN] = {};
    float most = float_of(0xff800000u), total = 0.0f;
    for (u32 first = begin; first < end; first += SPAN) {
        u32 count = end - first < SPAN ? end - first : SPAN;
        barrier();
        float score = float_of(0xff800000u);
        if (thread < count) {
            u64 place = place_in(from, first + thread);
            places[thread] = place;
            const u8 *key = from.keys + place * from.key_step;
            score = 0.0f;
            for (u32 i = 0; i < shape.key_width; i++) score = fused(asked[i], cached(from.type, key, i), score);
            score *= shape.scale;
            if (shape.softcap != 0.0f) score = shape.softcap * hyperbolic_tangent(score / shape.softcap);
        }
        float now = block_largest(score);
        now = is_nan(most) ? most : larger(most, now);
        float fade = now == most ? 1.0f : exponential(most - now);
        most = now;
        float weight = thread < count ? exponential(score - most) : 0.0f;
        weights[thread] = weight;
        // Its barriers make weights and places seen as well.
        total = total * fade + block_sum(weight);
        for (u32 c = 0; c < WIDTH_MAX / SPAN; c++) {
            u32 column = c * SPAN + thread;
            if (column >= shape.value_width) break;
            float sum = sums[c] * fade;
            for (u32 i = 0; i < count; i++) {
                sum = fused(weights[i], cached(from.type, from.values + places[i] * from.value_step, column), sum);
            }
            sums[c] = sum;
        }
    }
    for (u32 c = 0; c < WIDTH_MAX / SPAN; c++) {
        u32 column = c * SPAN + thread;
        if (column < shape.value_width) out[column] = sums[c] / total;
    }
}

/// Grid: rows, heads; `SPAN` threads.
KERNEL(attend_pages, (float *out, u32 out_stride, const float *query, u32 query_stride, const u8 *keys, const u8 *values,
                      u32 type, u32 page_tokens, u32 heads, u32 kv_heads, u32 key_width, u32 value_width, u32 window,
                      float scale, float softcap, const u32 *positions, const u32 *owners, const u32 *page_firsts,
                      const u32 *pages)) {
    u32 row = block_x(), head = block_y();
    Facts facts = {positions, owners, nullptr, nullptr, page_firsts, pages};
    Shape shape = {heads, kv_heads, key_width, value_width, 1, window, scale, softcap};
    Source from = {keys, values, cached_row_bytes(type, key_width), cached_row_bytes(type, value_width), type,
                   page_tokens, kv_heads, head / (heads / kv_heads), owners[row], facts};
    u32 end = positions[row] + 1;
    u32 begin = window == 0 || end < window ? 0 : end - window;
    attend(out + (u64)row * out_stride + head * value_width, query + (u64)row * query_stride + head * key_width, shape, from,
           begin, end);
}

/// Grid: rows, heads; `SPAN` threads.
KERNEL(attend_rows, (float *out, u32 out_stride, const float *query, u32 query_stride, const float *key, u32 key_stride,
                     const float *value, u32 value_stride, u32 heads, u32 kv_heads, u32 key_width, u32 value_width,
                     u32 causal, u32 window, float scale, float softcap, const u32 *owners, const u32 *firsts,
                     const u32 *counts)) {
    u32 row = block_x(), head = block_y(), owner = owners[row], kv_head = head / (heads / kv_heads);
    Facts facts = {nullptr, owners, firsts, counts, nullptr, nullptr};
    Shape shape = {heads, kv_heads, key_width, value_width, causal, window, scale, softcap};
    Source from = {(const u8 *)(key + kv_head * key_width), (const u8 *)(value + kv_head * value_width), key_stride * 4ull,
                   value_stride * 4ull, F32, 0, kv_heads, kv_head, owner, facts};
    u32 here = row - firsts[owner];
    u32 end = causal ? here + 1 : counts[owner];
    u32 begin = window == 0 || here + 1 < window ? 0 : here + 1 - window;
    attend(out + (u64)row * out_stride + head * value_width, query + (u64)row * query_stride + head * key_width, shape, from,
           begin, end);
}

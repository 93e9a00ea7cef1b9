// Grouped-query attention over the paged cache or over the batch's own rows.
//
// Decides what a cache looks like on a card: page, head, token of the page, column, for keys and values alike; with scales,
// blocks of 32 columns, a half and 32 bytes, as the GGUF format has them. Places are taken in spans of 256: each gives its
// largest score, its sum of exponentials and its weighted values, and spans are joined in order, those so far fading when a
// larger score comes (Milakov and Gimelshein 2018). Who computes a span makes no difference to the bits: one block of threads
// all of a row's, or, with few rows, one block each span, which are joined afterwards. Query heads that share keys and values
// are taken together, so that these are read once.
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

/// Places of a span.
#define SPAN 256u
/// Threads of a block, and its groups.
#define SPAN_THREADS 128u
#define SPAN_GROUPS (SPAN_THREADS / 32)
/// Query heads that are taken together.
#define SPAN_HEADS 4u
/// Threads that share a place's key, and columns that each of them takes at once.
#define SHARERS 8u
#define SPAN_COLUMNS 8u
/// Columns of a head, at most.
#define WIDTH_MAX 1024u
#define SPAN_PARTS (WIDTH_MAX / SPAN_THREADS)

/// What an attention is, apart from where things are.
struct Shape {
    u32 heads, kv_heads, key_width, value_width;
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
    /// 0 without a cache: then rows follow each other.
    u32 page_tokens;
    u32 kv_heads, head, owner;
    Facts facts;
};

DEVICE u64 place_in(const Source &from, u32 place) {
    if (from.page_tokens == 0) return from.facts.firsts[from.owner] + place;
    return slot_of(from.facts, from.owner, place, from.page_tokens, from.kv_heads, from.head);
}

/// Numbers of a row from `first` on; those beyond `width` are 0.
template <u32 T> DEVICE void some_of(float (&out)[SPAN_COLUMNS], const u8 *row, u32 first, u32 width) {
    if (T == F16 && width % SPAN_COLUMNS == 0) {
        Quad quad = load16(row + first * 2);
        UNROLL
        for (u32 i = 0; i < SPAN_COLUMNS; i++) out[i] = from_half((u16)(quad.words[i / 2] >> (i % 2 * 16)));
        return;
    }
    UNROLL
    for (u32 i = 0; i < SPAN_COLUMNS; i++) out[i] = first + i < width ? cached(T, row, first + i) : 0.0f;
}

/// Some heads' largest score, sum of exponentials and weighted values; of the latter each thread has its columns.
struct State {
    float most[SPAN_HEADS], total[SPAN_HEADS], sums[SPAN_PARTS][SPAN_HEADS];
};

DEVICE void clear(State &state) {
    UNROLL
    for (u32 h = 0; h < SPAN_HEADS; h++) {
        state.most[h] = float_of(0xff800000u);
        state.total[h] = 0.0f;
        UNROLL
        for (u32 c = 0; c < SPAN_PARTS; c++) state.sums[c][h] = 0.0f;
    }
}

/// How much of what is so far, and of what comes, remains.
struct Fade {
    float most, so_far, next;
};

DEVICE Fade fade_of(float most, float next) {
    float now = is_nan(most) ? most : larger(most, next);
    return Fade{now, now == most ? 1.0f : exponential(most - now), now == next ? 1.0f : exponential(next - now)};
}

DEVICE float joined(Fade fade, float so_far, float next) { return fused(next, fade.next, so_far * fade.so_far); }

/// What lies in shared memory meanwhile.
struct Shared {
    float asked[SPAN_HEADS][WIDTH_MAX];
    float weights[SPAN_HEADS][SPAN];
    u64 places[SPAN];
    float most[SPAN_HEADS], total[SPAN_HEADS];
};

/// Joins one span to `state`: places from `begin` to `end`, for `count` heads whose queries are in `shared`.
template <u32 T>
DEVICE void attend_span(State &state, Shared &shared, u32 count, const Shape &shape, const Source &from, u32 begin, u32 end) {
    u32 thread = thread_index(), places = end - begin;
    barrier();
    for (u32 i = thread; i < places; i += SPAN_THREADS) shared.places[i] = place_in(from, begin + i);
    barrier();
    // All threads of a group go the same way: those beyond the last place take it once more.
    for (u32 first = thread / 32 * (32 / SHARERS); first < places; first += SPAN_THREADS / SHARERS) {
        u32 place = first + thread % 32 / SHARERS, sharer = thread % SHARERS;
        const u8 *key = from.keys + shared.places[place < places ? place : places - 1] * from.key_step;
        float scores[SPAN_HEADS] = {};
        for (u32 column = sharer * SPAN_COLUMNS; column < shape.key_width; column += SHARERS * SPAN_COLUMNS) {
            float some[SPAN_COLUMNS];
            some_of<T>(some, key, column, shape.key_width);
            UNROLL
            for (u32 h = 0; h < SPAN_HEADS; h++) {
                UNROLL
                for (u32 i = 0; i < SPAN_COLUMNS; i++) scores[h] = fused(some[i], shared.asked[h][column + i], scores[h]);
            }
        }
        UNROLL
        for (u32 h = 0; h < SPAN_HEADS; h++) {
            float score = scores[h];
            for (u32 mask = SHARERS / 2; mask > 0; mask >>= 1) score += float_of(exchange(bits_of(score), mask));
            score *= shape.scale;
            if (shape.softcap != 0.0f) score = shape.softcap * hyperbolic_tangent(score / shape.softcap);
            if (sharer == 0 && place < places) shared.weights[h][place] = score;
        }
    }
    barrier();
    for (u32 h = thread / 32; h < count; h += SPAN_GROUPS) {
        float most = float_of(0xff800000u), total = 0.0f;
        for (u32 i = thread % 32; i < places; i += 32) {
            float score = shared.weights[h][i];
            most = is_nan(most) ? most : larger(most, score);
        }
        most = group_largest(most);
        for (u32 i = thread % 32; i < places; i += 32) {
            float weight = exponential(shared.weights[h][i] - most);
            shared.weights[h][i] = weight;
            total += weight;
        }
        total = group_sum(total);
        if (thread % 32 == 0) {
            shared.most[h] = most;
            shared.total[h] = total;
        }
    }
    barrier();
    Fade fades[SPAN_HEADS];
    UNROLL
    for (u32 h = 0; h < SPAN_HEADS; h++) {
        if (h >= count) continue;
        fades[h] = fade_of(state.most[h], shared.most[h]);
        state.most[h] = fades[h].most;
        state.total[h] = joined(fades[h], state.total[h], shared.total[h]);
    }
    UNROLL
    for (u32 c = 0; c < SPAN_PARTS; c++) {
        u32 column = c * SPAN_THREADS + thread;
        if (column >= shape.value_width) continue;
        float sums[SPAN_HEADS] = {};
        for (u32 i = 0; i < places; i++) {
            float value = cached(T, from.values + shared.places[i] * from.value_step, column);
            UNROLL
            for (u32 h = 0; h < SPAN_HEADS; h++) sums[h] = fused(shared.weights[h][i], value, sums[h]);
        }
        UNROLL
        for (u32 h = 0; h < SPAN_HEADS; h++) {
            if (h < count) state.sums[c][h] = joined(fades[h], state.sums[c][h], sums[h]);
        }
    }
}

/// Brings the queries of `count` heads to hand; of those beyond there are zeros.
DEVICE void ask(Shared &shared, const float *query, u32 count, u32 width) {
    barrier();
    for (u32 i = thread_index(); i < SPAN_HEADS * WIDTH_MAX; i += SPAN_THREADS) {
        u32 head = i / WIDTH_MAX, column = i % WIDTH_MAX;
        if (column >= width + SPAN_COLUMNS) continue;
        shared.asked[head][column] = head < count && column < width ? query[head * width + column] : 0.0f;
    }
}

/// All heads that share keys and values. Without `partials` the rows of `out` are written; with it, what the one span that
/// has number `only` gives: for each head its largest score, its sum, and its values.
template <u32 T>
DEVICE void attend(Shared &shared, float *out, const float *query, const Shape &shape, const Source &from, u32 begin,
                   u32 end, float *partials, u32 spans, u32 only) {
    u32 heads = shape.heads / shape.kv_heads;
    for (u32 first = 0; first < heads; first += SPAN_HEADS) {
        u32 count = heads - first < SPAN_HEADS ? heads - first : SPAN_HEADS;
        ask(shared, query + first * shape.key_width, count, shape.key_width);
        State state;
        clear(state);
        u32 span = begin / SPAN, last = (end - 1) / SPAN;
        if (partials) span = last = only;
        for (; span <= last; span++) {
            u32 first_place = span * SPAN < begin ? begin : span * SPAN;
            u32 end_place = (span + 1) * SPAN < end ? (span + 1) * SPAN : end;
            attend_span<T>(state, shared, count, shape, from, first_place, end_place);
        }
        UNROLL
        for (u32 h = 0; h < SPAN_HEADS; h++) {
            if (h >= count) continue;
            u32 head = first + h;
            float *into = out + head * shape.value_width;
            if (partials) into = partials + (u64)head * spans * (shape.value_width + 2);
            if (partials && thread_index() == 0) {
                into[0] = state.most[h];
                into[1] = state.total[h];
            }
            UNROLL
            for (u32 c = 0; c < SPAN_PARTS; c++) {
                u32 column = c * SPAN_THREADS + thread_index();
                if (column >= shape.value_width) continue;
                if (partials) into[2 + column] = state.sums[c][h];
                else into[column] = state.sums[c][h] / state.total[h];
            }
        }
    }
}

/// The first place that a row sees.
DEVICE u32 first_seen(u32 end, u32 window) { return window == 0 || end < window ? 0 : end - window; }

/// Grid: rows, heads of keys; `SPAN_THREADS` threads. With `spans`, also so many spans, and `partials` has for each row, head and
/// span two numbers and a row of values, which `attend_join` joins.
KERNEL(attend_pages, (float *out, u32 out_stride, const float *query, u32 query_stride, const u8 *keys, const u8 *values,
                      u32 type, u32 page_tokens, u32 heads, u32 kv_heads, u32 key_width, u32 value_width, u32 window,
                      float scale, float softcap, const u32 *positions, const u32 *owners, const u32 *page_firsts,
                      const u32 *pages, float *partials, u32 spans)) {
    SHARED Shared shared;
    u32 row = block_x(), kv_head = block_y(), span = block_z(), together = heads / kv_heads;
    Facts facts = {positions, owners, nullptr, nullptr, page_firsts, pages};
    Shape shape = {heads, kv_heads, key_width, value_width, window, scale, softcap};
    Source from = {keys, values, cached_row_bytes(type, key_width), cached_row_bytes(type, value_width),
                   page_tokens, kv_heads, kv_head, owners[row], facts};
    u32 end = positions[row] + 1, begin = first_seen(end, window);
    if (spans == 0) {
        partials = nullptr;
    } else {
        if (span < begin / SPAN || span > (end - 1) / SPAN) return;
        partials += (((u64)row * heads + kv_head * together) * spans + span) * (value_width + 2);
    }
    out += (u64)row * out_stride + kv_head * together * value_width;
    query += (u64)row * query_stride + kv_head * together * key_width;
    if (type == F16) attend<F16>(shared, out, query, shape, from, begin, end, partials, spans, span);
    else if (type == F32) attend<F32>(shared, out, query, shape, from, begin, end, partials, spans, span);
    else attend<Q8_0>(shared, out, query, shape, from, begin, end, partials, spans, span);
}

/// Joins the spans of a head; grid: rows, heads.
KERNEL(attend_join, (float *out, u32 out_stride, const float *partials, u32 spans, u32 heads, u32 value_width, u32 window,
                     const u32 *positions)) {
    u32 row = block_x(), head = block_y(), end = positions[row] + 1;
    const float *all = partials + ((u64)row * heads + head) * spans * (value_width + 2);
    for (u32 column = thread_index(); column < value_width; column += thread_count()) {
        float most = float_of(0xff800000u), total = 0.0f, sum = 0.0f;
        for (u32 span = first_seen(end, window) / SPAN; span <= (end - 1) / SPAN; span++) {
            const float *one = all + (u64)span * (value_width + 2);
            Fade fade = fade_of(most, one[0]);
            most = fade.most;
            total = joined(fade, total, one[1]);
            sum = joined(fade, sum, one[2 + column]);
        }
        out[(u64)row * out_stride + head * value_width + column] = sum / total;
    }
}

/// Grid: rows, heads of keys; `SPAN_THREADS` threads.
KERNEL(attend_rows, (float *out, u32 out_stride, const float *query, u32 query_stride, const float *key, u32 key_stride,
                     const float *value, u32 value_stride, u32 heads, u32 kv_heads, u32 key_width, u32 value_width,
                     u32 causal, u32 window, float scale, float softcap, const u32 *owners, const u32 *firsts,
                     const u32 *counts)) {
    SHARED Shared shared;
    u32 row = block_x(), kv_head = block_y(), owner = owners[row], together = heads / kv_heads;
    Facts facts = {nullptr, owners, firsts, counts, nullptr, nullptr};
    Shape shape = {heads, kv_heads, key_width, value_width, window, scale, softcap};
    Source from = {(const u8 *)(key + kv_head * key_width), (const u8 *)(value + kv_head * value_width), key_stride * 4ull,
                   value_stride * 4ull, 0, kv_heads, kv_head, owner, facts};
    u32 here = row - firsts[owner] + 1;
    attend<F32>(shared, out + (u64)row * out_stride + kv_head * together * value_width,
                query + (u64)row * query_stride + kv_head * together * key_width, shape, from, first_seen(here, window),
                causal ? here : counts[owner], nullptr, 0, 0);
}

// Attention block by block for all queries of a call, written on parts once for all instruction
// sets. Included after kernels/vector/dot_tile.h; everything has internal linkage.
//
// A block of 32 keys goes through three steps: scores (tiles of queries x 4 keys; the keys are
// converted to floats once, four at a time), probabilities (a query at a time), values (slices of a
// few registers of the head: the slice of the block is converted once into the first-level cache,
// then added up in registers for a tile of queries). A block that a query sees in part is cut into
// the keys that all queries of a tile see and, one query at a time, the others: what lies outside a
// query's range never enters its arithmetic, whatever it holds. The values are asked for while the
// scores are computed: slices read them a line at a time, in steps no hardware prefetcher follows
// (decode over 32,768 keys: 19 instead of 15.5 G multiply-adds per second).
//
// Measured with AVX2, one thread of a busy two-thread Zen 4 (EPYC) virtual machine, where a loop of
// multiply-adds alone reaches 43 G/s: 64 queries 28 to 32 G/s (65 to 75 %) in every cache type up
// to 32,768 keys, 8 queries 19 to 24 G/s, of which converting the keys and values takes a quarter.
#pragma once

#include "kernels/attention/attention_softmax.h"

namespace gemlet {
namespace {

constexpr size_t kSliceParts = 4;  // kTileRows x 4 sums, kTileRows factors and one value

// A number of queries as a type, to choose a tile.
template <size_t kCount>
struct Rows {
    static constexpr size_t kRows = kCount;
};

struct FloatWorkspace : Workspace {
    float* keys;  // [4, head_dim], or a panel of the block's keys
};

FloatWorkspace cut_scratch(const AttentionArgs& args) {
    const uintptr_t address = (reinterpret_cast<uintptr_t>(args.scratch) + 63) / 64 * 64;
    FloatWorkspace space;
    space.p = reinterpret_cast<float*>(address);
    space.sums = space.p + args.n_queries * kAttentionBlock;
    space.o = space.sums + args.n_queries * 16;
    space.keys = space.o + args.n_queries * args.head_dim;
    space.max = space.keys + kAttentionBlock * args.head_dim;
    space.correction = space.max + args.n_queries;
    return space;
}

template <size_t kRows>
void score_tile(const AttentionArgs& args, const uint8_t* const* keys, size_t query, float* p) {
    Four sums[kRows];
    dot_tile<kRows, kTileColumns, WeightsF32>(args.q + query * args.q_stride, args.q_stride, keys,
                                              args.head_dim, 0, sums);
    for (size_t row = 0; row < kRows; ++row) four_store(p + row * kAttentionBlock, sums[row]);
}

// Scores of the four keys from j on for all queries.
void score_keys(const AttentionArgs& args, const uint8_t* const* keys, int j, float* p) {
    size_t query = 0;
    float* at = p + j;
    for (; query + kTileRows <= args.n_queries; query += kTileRows) {
        score_tile<kTileRows>(args, keys, query, at);
        at += kTileRows * kAttentionBlock;
    }
    const size_t left = args.n_queries - query;
    if (left == 1) score_tile<1>(args, keys, query, at);
    if (left == 2) score_tile<2>(args, keys, query, at);
    if (left == 3) score_tile<3>(args, keys, query, at);
}

// Queries of a tile of scores over a panel; both registers of 6 x 2 sums are used twice for each
// key of a register pair.
constexpr size_t kPanelQueries = 6;
// From so many queries on, and for heads so short, it pays to transpose the keys of a block: the
// joining of 16 lanes at the end of a short dot product costs more than its multiply-adds.
constexpr size_t kLeastPanelQueries = 24;
constexpr size_t kMostPanelDim = 128;

// Packs the keys of a block as [lane, in the order of the tree][step][key] (see lane_order.h).
template <class Elements>
void pack_keys(const AttentionArgs& args, const Block& block, float* panel) {
    const size_t steps = args.head_dim / 16;
    for (int first = 0; first < kBlock; first += 8) {
        float rows[8][kMostPanelDim];
        for (int i = 0; i < 8; ++i) {
            int key = first + i < block.begin ? block.begin : first + i;
            if (key >= block.end) key = block.end - 1;
            prefetch_row(block.values[key], args.head_dim * Elements::kBytes);
            for (size_t d = 0; d < args.head_dim; d += kPartLanes) {
                part_store(rows[i] + d, Elements::load(block.keys[key] + d * Elements::kBytes));
            }
        }
        for (size_t d = 0; d < args.head_dim; d += 8) {
            Eight r[8];
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; ++i) r[i] = eight_load(rows[i] + d);
            transpose_eight(r);
            float* to = panel + d / 16 * kAttentionBlock + first;
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; ++i) {
                const size_t place = place_of_lane(d % 16 + i);
                eight_store(to + place * steps * kAttentionBlock, r[i]);
            }
        }
    }
}

// Scores of kRows queries with the 2 * kPartLanes keys from `panel` on.
template <size_t kRows>
void score_panel(const float* q, size_t q_stride, size_t head_dim, const float* panel, float* p) {
    Part waiting[kLaneLevels][kRows][2];
    const size_t steps = head_dim / 16;
    for (size_t place = 0; place < 16; ++place) {
        const float* x = q + kLaneOrder[place];
        Part sums[kRows][2];
#pragma GCC unroll 6
        for (size_t row = 0; row < kRows; ++row) sums[row][0] = sums[row][1] = part_zero();
        for (size_t step = 0; step < steps; ++step) {
            const Part w0 = part_load(panel);
            const Part w1 = part_load(panel + kPartLanes);
#pragma GCC unroll 6
            for (size_t row = 0; row < kRows; ++row) {
                const Part in = part_set(x[row * q_stride]);
                sums[row][0] = part_fma(in, w0, sums[row][0]);
                sums[row][1] = part_fma(in, w1, sums[row][1]);
            }
            x += 16;
            panel += kAttentionBlock;
        }
        size_t level = 0;
        for (; (place >> level & 1) != 0; ++level) {
#pragma GCC unroll 6
            for (size_t row = 0; row < kRows; ++row) {
                sums[row][0] = part_add(waiting[level][row][0], sums[row][0]);
                sums[row][1] = part_add(waiting[level][row][1], sums[row][1]);
            }
        }
#pragma GCC unroll 6
        for (size_t row = 0; row < kRows; ++row) {
            if (level == kLaneLevels) {
                part_store(p + row * kAttentionBlock, sums[row][0]);
                part_store(p + row * kAttentionBlock + kPartLanes, sums[row][1]);
            } else {
                waiting[level][row][0] = sums[row][0];
                waiting[level][row][1] = sums[row][1];
            }
        }
    }
}

void score_with_panel(const AttentionArgs& args, const FloatWorkspace& space) {
    for (size_t key = 0; key < kAttentionBlock; key += 2 * kPartLanes) {
        const float* panel = space.keys + key;
        size_t query = 0;
        for (; query + kPanelQueries <= args.n_queries; query += kPanelQueries) {
            score_panel<kPanelQueries>(args.q + query * args.q_stride, args.q_stride, args.head_dim,
                                       panel, space.p + query * kAttentionBlock + key);
        }
        for (; query < args.n_queries; ++query) {
            score_panel<1>(args.q + query * args.q_stride, args.q_stride, args.head_dim, panel,
                           space.p + query * kAttentionBlock + key);
        }
    }
}

// Fills p with the scores of the block, without the scales of an int8 cache. Entries outside
// begin .. end - 1 are copies or stay as they are.
template <class Elements>
void score_block(const AttentionArgs& args, const Block& block, const FloatWorkspace& space) {
    constexpr int kStep = static_cast<int>(kTileColumns);
    if (args.n_queries >= kLeastPanelQueries && args.head_dim <= kMostPanelDim) {
        pack_keys<Elements>(args, block, space.keys);
        return score_with_panel(args, space);
    }
    for (int j = block.begin / kStep * kStep; j < block.end; j += kStep) {
        const uint8_t* keys[kTileColumns];
        for (int column = 0; column < kStep; ++column) {
            int key = j + column < block.begin ? block.begin : j + column;
            if (key >= block.end) key = block.end - 1;
            keys[column] = block.keys[key];
            if (space.values_follow) {
                prefetch_row(block.values[key], args.head_dim * Elements::kBytes);
            }
            if (space.keys_ahead) {
                prefetch_later(args, keys[column], kKeysAhead, args.head_dim * Elements::kBytes);
            }
            if (Elements::kBytes == sizeof(float)) continue;
            float* floats = space.keys + static_cast<size_t>(column) * args.head_dim;
            for (size_t d = 0; d < args.head_dim; d += kPartLanes) {
                part_store(floats + d, Elements::load(keys[column] + d * Elements::kBytes));
            }
            keys[column] = reinterpret_cast<const uint8_t*>(floats);
        }
        score_keys(args, keys, j, space.p);
    }
}

// A slice of the block's values, as floats.
struct Slice {
    float* o;             // first query's output at the slice
    size_t o_stride;      // head_dim
    const float* p;       // first query's factors
    const float* values;  // [kBlock, width of the slice]
};

// o = o * correction + the keys begin .. end - 1 in order, for kQueries queries.
template <size_t kQueries, size_t kWidthParts>
void add_values(const Slice& slice, const float* correction, int begin, int end) {
    Part sums[kQueries][kWidthParts];
#pragma GCC unroll 16
    for (size_t i = 0; i < kQueries * kWidthParts; ++i) {
        const size_t query = i / kWidthParts;
        const float* o = slice.o + query * slice.o_stride + i % kWidthParts * kPartLanes;
        sums[query][i % kWidthParts] = part_mul(part_load(o), part_set(correction[query]));
    }
    for (int j = begin; j < end; ++j) {
        const auto key = static_cast<size_t>(j);
        const float* values = slice.values + key * kWidthParts * kPartLanes;
        Part factor[kQueries];
#pragma GCC unroll 4
        for (size_t query = 0; query < kQueries; ++query) {
            factor[query] = part_set(slice.p[query * kAttentionBlock + key]);
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < kWidthParts; ++i) {
            const Part value = part_load(values + i * kPartLanes);
#pragma GCC unroll 4
            for (size_t query = 0; query < kQueries; ++query) {
                sums[query][i] = part_fma(factor[query], value, sums[query][i]);
            }
        }
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < kQueries * kWidthParts; ++i) {
        float* o = slice.o + i / kWidthParts * slice.o_stride + i % kWidthParts * kPartLanes;
        part_store(o, sums[i / kWidthParts][i % kWidthParts]);
    }
}

Slice slice_of_query(const Slice& slice, size_t query) {
    return {slice.o + query * slice.o_stride, slice.o_stride, slice.p + query * kAttentionBlock,
            slice.values};
}

// Adds the values of a tile of queries: what all of them see together, what is left one by one.
template <size_t kQueries, size_t kWidthParts>
void add_values_of_tile(const Slice& slice, const float* correction, const int* first,
                        const int* last) {
    int begin = first[0];
    int end = last[0];
    for (size_t query = 1; query < kQueries; ++query) {
        begin = first[query] > begin ? first[query] : begin;
        end = last[query] < end ? last[query] : end;
    }
    if (begin >= end) {
        for (size_t query = 0; query < kQueries; ++query) {
            if (first[query] >= last[query]) continue;
            add_values<1, kWidthParts>(slice_of_query(slice, query), correction + query,
                                       first[query], last[query]);
        }
        return;
    }
    const float one = 1.0F;
    float left_correction[kQueries];
    for (size_t query = 0; query < kQueries; ++query) {
        left_correction[query] = correction[query];
        if (first[query] == begin) continue;
        add_values<1, kWidthParts>(slice_of_query(slice, query), correction + query, first[query],
                                   begin);
        left_correction[query] = one;
    }
    add_values<kQueries, kWidthParts>(slice, left_correction, begin, end);
    for (size_t query = 0; query < kQueries; ++query) {
        if (last[query] == end) continue;
        add_values<1, kWidthParts>(slice_of_query(slice, query), &one, end, last[query]);
    }
}

// Adds the block's values in the slice that starts at component d, for all queries.
template <size_t kWidthParts, class Elements>
void add_slice(const AttentionArgs& args, const Block& block, const FloatWorkspace& space,
               size_t d) {
    constexpr size_t kWidth = kWidthParts * kPartLanes;
    alignas(64) float values[kAttentionBlock * kWidth];
    for (int j = block.begin; j < block.end; ++j) {
        float* to = values + static_cast<size_t>(j) * kWidth;
        const uint8_t* from = block.values[j] + d * Elements::kBytes;
        if (space.values_ahead) {
            prefetch_later(args, from, kAttentionBlock, kWidth * Elements::kBytes);
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < kWidth; i += kPartLanes) {
            part_store(to + i, Elements::load(from + i * Elements::kBytes));
        }
    }
    Slice slice = {space.o + d, args.head_dim, space.p, values};
    size_t query = 0;
    const auto add_tile = [&](auto tile) {
        constexpr size_t kQueries = decltype(tile)::kRows;
        add_values_of_tile<kQueries, kWidthParts>(slice, space.correction + query,
                                                  block.first + query, block.last + query);
        query += kQueries;
        slice = slice_of_query(slice, kQueries);
    };
    while (query + kTileRows <= args.n_queries) add_tile(Rows<kTileRows>{});
    const size_t left = args.n_queries - query;
    if (left == 1) add_tile(Rows<1>{});
    if (left == 2) add_tile(Rows<2>{});
    if (left == 3) add_tile(Rows<3>{});
}

// Adds the components begin .. end - 1 of the block's values.
template <class Elements>
void add_slices(const AttentionArgs& args, const Block& block, const FloatWorkspace& space,
                size_t begin, size_t end) {
    constexpr size_t kWide = kSliceParts * kPartLanes;
    size_t d = begin;
    for (; d + kWide <= end; d += kWide) add_slice<kSliceParts, Elements>(args, block, space, d);
    for (; d < end; d += 16) add_slice<kParts, Elements>(args, block, space, d);
}

template <class Elements>
void add_block(const AttentionArgs& args, int32_t start, Block& block,
               const FloatWorkspace& space) {
    find_slots(args, start, block);
    score_block<Elements>(args, block, space);
    for (size_t query = 0; query < args.n_queries; ++query) {
        if (block.first[query] < block.last[query]) weigh_query(args, block, space, query);
    }
    add_slices<Elements>(args, block, space, 0, args.head_dim);
}

// Calls body with the elements of the cache.
template <class Body>
void with_elements(KvType type, const Body& body) {
    switch (type) {
        case KvType::f32:
            return body(WeightsF32{});
        case KvType::f16:
            return body(WeightsF16{});
        case KvType::i8:
            return body(WeightsI8{});
    }
}

void run(const AttentionArgs& args) {
    FloatWorkspace space = cut_scratch(args);
    space.values_follow = true;
    start_softmax(args, space);
    with_elements(args.kv_type, [&]<class Elements>(Elements) {
        for_blocks(args, 0, attention_blocks(args), [&](int32_t start, Block& block, size_t) {
            add_block<Elements>(args, start, block, space);
        });
    });
    finish(args, space, 0, args.head_dim);
}

// What the steps of a shared call do with a block (attention_steps.h).
struct FloatSteps {
    using Space = FloatWorkspace;
    static Space start_scores(const AttentionArgs& args) { return cut_scratch(args); }
    static void score(const AttentionArgs& args, Block& block, const Space& space) {
        with_elements(args.kv_type,
                      [&]<class Elements>(Elements) { score_block<Elements>(args, block, space); });
    }
    static void weigh(const AttentionArgs& args, const Block& block, const Space& space,
                      size_t query) {
        if (block.first[query] < block.last[query]) weigh_query(args, block, space, query);
    }
    static void add(const AttentionArgs& args, Block& block, const Space& space, size_t begin,
                    size_t end) {
        with_elements(args.kv_type, [&]<class Elements>(Elements) {
            add_slices<Elements>(args, block, space, begin, end);
        });
    }
};

}  // namespace
}  // namespace gemlet

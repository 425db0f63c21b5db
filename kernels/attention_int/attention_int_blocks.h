// Attention in integers, block by block for all queries of a call, written on parts once for all
// instruction sets. Included after kernels/attention/attention_softmax.h and int_part_<isa>.h;
// everything has internal linkage.
//
// A block of 32 keys goes through the steps of kernels/attention/attention_blocks.h: scores (eight
// keys at a time, widened once into the first-level cache), factors (a query at a time), values
// (slices of a few registers of the head; the rows of two keys are interleaved, so that one
// instruction multiplies and adds both). A key outside a query's range has the code 0.
//
// Measured with AVX2, one thread of a busy two-thread Zen 4 (EPYC) virtual machine, beside floats
// in the same minute, 4,096 keys, head of 512: 64 queries 38 to 47 G multiply-adds/s beside 28, 8
// queries 33 beside 19, 4 queries 28 beside 18. The bound of AVX2 is 86 (a product and a sum for 16
// of them); widening takes a quarter of it with 4 queries.
#pragma once

#include "kernels/attention_int/attention_int.h"

namespace gemlet {
namespace {

constexpr size_t kIntKeys = 8;      // keys widened at a time
constexpr size_t kIntTileKeys = 4;  // of them in a tile
constexpr size_t kIntSliceParts = 4;
constexpr size_t kKeyPairs = kAttentionBlock / 2;

// The parts of the caller's scratch; rows of codes are padded with zeros to `stride`.
struct IntWorkspace : Workspace {
    size_t stride;  // codes in a row, a multiple of kIntCodes
    int16_t* q;     // [n_queries, stride]
    int16_t* keys;  // [kIntKeys, stride]
    float* q_unit;  // [n_queries]
};

IntWorkspace cut_int_scratch(const AttentionArgs& args) {
    const size_t n = args.n_queries;
    const uintptr_t address = (reinterpret_cast<uintptr_t>(args.scratch) + 63) / 64 * 64;
    IntWorkspace space;
    space.stride = (args.head_dim + kIntCodes - 1) / kIntCodes * kIntCodes;
    space.q = reinterpret_cast<int16_t*>(address);
    space.keys = space.q + n * space.stride;
    space.codes = space.keys + kIntKeys * space.stride;
    space.p = reinterpret_cast<float*>(space.codes + n * kAttentionBlock);
    space.sums = space.p + n * kAttentionBlock;
    space.o = space.sums + n * 16;
    space.max = space.o + n * args.head_dim;
    space.correction = space.max + n;
    space.q_unit = space.correction + n;
    space.unit = space.q_unit + n;
    return space;
}

// Rounds n floats, a multiple of kPartLanes, to codes; returns their unit.
float round_to_codes(const float* x, size_t n, int16_t* codes) {
    Part largest_lanes = part_zero();
    for (size_t i = 0; i < n; i += kPartLanes) {
        largest_lanes = part_max(part_abs(part_load(x + i)), largest_lanes);
    }
    const float largest = part_largest(largest_lanes);
    const bool zero = largest < kLeastIntMagnitude;
    const Part inverse = part_set(zero ? 0.0F : kLargestCode / largest);
    for (size_t i = 0; i < n; i += kPartLanes) {
        part_store_codes(codes + i, part_mul(part_load(x + i), inverse));
    }
    return zero ? 0.0F : largest * kCodeUnit;
}

void round_queries(const AttentionArgs& args, const IntWorkspace& space) {
    memset(space.q, 0, args.n_queries * space.stride * sizeof(int16_t));
    for (size_t i = 0; i < args.n_queries; ++i) {
        space.q_unit[i] =
            round_to_codes(args.q + i * args.q_stride, args.head_dim, space.q + i * space.stride);
    }
}

// Makes every pointer of the block readable: keys that nobody sees stand for their neighbours.
void fill_block(Block& block) {
    for (int j = 0; j < kBlock; ++j) {
        const int seen = j < block.begin ? block.begin : j < block.end ? j : block.end - 1;
        block.keys[j] = block.keys[seen];
        block.values[j] = block.values[seen];
    }
}

void widen_keys(const AttentionArgs& args, const uint8_t* const* keys, const IntWorkspace& space) {
    const size_t whole = args.head_dim / kIntCodes * kIntCodes;
    for (size_t key = 0; key < kIntKeys; ++key) {
        int16_t* to = space.keys + key * space.stride;
        for (size_t i = 0; i < whole; i += kIntCodes) int_store(to + i, int_widen(keys[key] + i));
        for (size_t i = whole; i < space.stride; ++i) {
            to[i] = i < args.head_dim ? static_cast<int8_t>(keys[key][i]) : int16_t{0};
        }
    }
}

// Scores, without the scales of the keys, of kRows queries and the first kIntTileKeys of `keys`.
template <size_t kRows>
void score_tile(const IntWorkspace& space, size_t query, const int16_t* keys, float* p) {
    const size_t stride = space.stride;
    const int16_t* q = space.q + query * stride;
    IntSums sums[kRows][kIntTileKeys];
#pragma GCC unroll 16
    for (size_t i = 0; i < kRows * kIntTileKeys; ++i) sums[i / 4][i % 4] = int_zero();
    for (size_t i = 0; i < stride; i += kIntCodes) {
        IntPart in[kRows];
#pragma GCC unroll 4
        for (size_t row = 0; row < kRows; ++row) in[row] = int_load(q + row * stride + i);
#pragma GCC unroll 4
        for (size_t key = 0; key < kIntTileKeys; ++key) {
            const IntPart w = int_load_once(keys + key * stride + i);
#pragma GCC unroll 4
            for (size_t row = 0; row < kRows; ++row) {
                sums[row][key] = int_madd(sums[row][key], in[row], w);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t row = 0; row < kRows; ++row) {
        const IntSums(&four)[kIntTileKeys] = sums[row];
        four_store(p + row * kAttentionBlock,
                   int_sums_of_four(four[0], four[1], four[2], four[3], space.q_unit[query + row]));
    }
}

template <size_t kRows>
void score_tiles(const IntWorkspace& space, size_t query, float* p) {
    for (size_t key = 0; key < kIntKeys; key += kIntTileKeys) {
        score_tile<kRows>(space, query, space.keys + key * space.stride, p + key);
    }
}

void score_block(const AttentionArgs& args, const Block& block, const IntWorkspace& space) {
    constexpr int kStep = static_cast<int>(kIntKeys);
    for (int j = block.begin / kStep * kStep; j < block.end; j += kStep) {
        for (int key = j; key < j + kStep && space.values_follow; ++key) {
            prefetch_row(block.values[key], args.head_dim);
        }
        for (int key = j; key < j + kStep && space.keys_ahead; ++key) {
            prefetch_later(args, block.keys[key], kKeysAhead, args.head_dim);
        }
        widen_keys(args, block.keys + j, space);
        float* p = space.p + j;
        size_t query = 0;
        for (; query + kIntTileRows <= args.n_queries; query += kIntTileRows) {
            score_tiles<kIntTileRows>(space, query, p + query * kAttentionBlock);
        }
        for (; query < args.n_queries; ++query) {
            score_tiles<1>(space, query, p + query * kAttentionBlock);
        }
    }
}

// Turns the scores of a query into codes of the values' factors.
void weigh_codes(const AttentionArgs& args, const Block& block, const IntWorkspace& space,
                 size_t query) {
    int16_t* codes = space.codes + query * kAttentionBlock;
    if (block.first[query] >= block.last[query]) {
        memset(codes, 0, kAttentionBlock * sizeof(int16_t));
        space.unit[query] = 0.0F;
        space.correction[query] = 1.0F;
        return;
    }
    weigh_query(args, block, space, query);
    float* p = space.p + query * kAttentionBlock;
#pragma GCC unroll 4
    for (size_t i = 0; i < kBlockParts; ++i) {
        const int lane = static_cast<int>(i * kPartLanes);
        const Part factor = part_load(p + i * kPartLanes);
        part_store(p + i * kPartLanes, part_in_range(factor, part_zero(), block.first[query] - lane,
                                                     block.last[query] - lane));
    }
    space.unit[query] = round_to_codes(p, kAttentionBlock, codes);
}

// A slice of the block's values: the components d .. of pairs of keys, alternating.
struct IntSlice {
    const int16_t* values;  // [kKeyPairs, width of the slice, 2]
    size_t d;
    size_t begin;  // pairs that some query sees
    size_t end;
};

// o = o * correction + unit * the sum over the block, for kRows queries.
template <size_t kRows, size_t kWidthParts>
void add_values(const AttentionArgs& args, const IntWorkspace& space, const IntSlice& slice,
                size_t query) {
    const int16_t* codes = space.codes + query * kAttentionBlock;
    IntSums sums[kRows][kWidthParts];
#pragma GCC unroll 16
    for (size_t i = 0; i < kRows * kWidthParts; ++i) {
        sums[i / kWidthParts][i % kWidthParts] = int_zero();
    }
    for (size_t pair = slice.begin; pair < slice.end; ++pair) {
        const int16_t* values = slice.values + pair * kWidthParts * kIntCodes;
        IntPart code[kRows];
#pragma GCC unroll 4
        for (size_t row = 0; row < kRows; ++row) {
            code[row] = int_set_pair(codes + row * kAttentionBlock + 2 * pair);
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < kWidthParts; ++i) {
            const IntPart value = int_load_once(values + i * kIntCodes);
#pragma GCC unroll 4
            for (size_t row = 0; row < kRows; ++row) {
                sums[row][i] = int_madd(sums[row][i], code[row], value);
            }
        }
    }
    for (size_t row = 0; row < kRows; ++row) {
        const Part correction = part_set(space.correction[query + row]);
        const Part unit = part_set(space.unit[query + row]);
        float* o = space.o + (query + row) * args.head_dim + slice.d;
#pragma GCC unroll 4
        for (size_t i = 0; i < kWidthParts; ++i) {
            float* at = o + i * kPartLanes;
            const Part old = part_mul(part_load(at), correction);
            part_store(at, part_fma(int_to_part(sums[row][i]), unit, old));
        }
    }
}

template <size_t kWidthParts>
void add_slice(const AttentionArgs& args, const Block& block, const IntWorkspace& space, size_t d) {
    alignas(64) int16_t values[kKeyPairs * kWidthParts * kIntCodes];
    const IntSlice slice = {values, d, static_cast<size_t>(block.begin) / 2,
                            (static_cast<size_t>(block.end) + 1) / 2};
    for (size_t pair = slice.begin; pair < slice.end; ++pair) {
        int16_t* to = values + pair * kWidthParts * kIntCodes;
        const uint8_t* even = block.values[2 * pair] + d;
        const uint8_t* odd = block.values[2 * pair + 1] + d;
        if (space.values_ahead) {
            prefetch_later(args, even, kAttentionBlock, kWidthParts * kIntLanes);
            prefetch_later(args, odd, kAttentionBlock, kWidthParts * kIntLanes);
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < kWidthParts; ++i) {
            int_store(to + i * kIntCodes,
                      int_widen_pairs(even + i * kIntLanes, odd + i * kIntLanes));
        }
    }
    size_t query = 0;
    for (; query + kIntTileRows <= args.n_queries; query += kIntTileRows) {
        add_values<kIntTileRows, kWidthParts>(args, space, slice, query);
    }
    for (; query < args.n_queries; ++query) add_values<1, kWidthParts>(args, space, slice, query);
}

// Adds the components begin .. end - 1 of the block's values.
void add_slices(const AttentionArgs& args, const Block& block, const IntWorkspace& space,
                size_t begin, size_t end) {
    constexpr size_t kWide = kIntSliceParts * kPartLanes;
    size_t d = begin;
    for (; d + kWide <= end; d += kWide) add_slice<kIntSliceParts>(args, block, space, d);
    for (; d < end; d += 16) add_slice<kParts>(args, block, space, d);
}

void run(const AttentionArgs& args) {
    IntWorkspace space = cut_int_scratch(args);
    space.values_follow = true;
    round_queries(args, space);
    start_softmax(args, space);
    for_blocks(args, 0, attention_blocks(args), [&](int32_t start, Block& block, size_t) {
        find_slots(args, start, block);
        fill_block(block);
        score_block(args, block, space);
        for (size_t query = 0; query < args.n_queries; ++query) {
            weigh_codes(args, block, space, query);
        }
        add_slices(args, block, space, 0, args.head_dim);
    });
    finish(args, space, 0, args.head_dim);
}

// What the steps of a shared call do with a block (kernels/attention/attention_steps.h).
struct IntSteps {
    using Space = IntWorkspace;
    static Space start_scores(const AttentionArgs& args) {
        const Space space = cut_int_scratch(args);
        round_queries(args, space);
        return space;
    }
    static void score(const AttentionArgs& args, Block& block, const Space& space) {
        fill_block(block);
        score_block(args, block, space);
    }
    static void weigh(const AttentionArgs& args, const Block& block, const Space& space,
                      size_t query) {
        weigh_codes(args, block, space, query);
    }
    static void add(const AttentionArgs& args, Block& block, const Space& space, size_t begin,
                    size_t end) {
        fill_block(block);
        add_slices(args, block, space, begin, end);
    }
};

}  // namespace
}  // namespace gemlet

// The online softmax of attention, a block of keys at a time: which keys a query sees, the factors
// of their values, the division at the end. What attention in floats (attention_blocks.h) and in
// integers (kernels/attention_int) share, written on parts once for all instruction sets. Included
// after kernels/vector/canonical_parts.h; everything has internal linkage.
#pragma once

#include "kernels/attention/attention.h"

namespace gemlet {
namespace {

constexpr int kBlock = static_cast<int>(kAttentionBlock);
constexpr size_t kBlockParts = kAttentionBlock / kPartLanes;

// The parts of the caller's scratch that the softmax needs.
struct Workspace {
    float* o;           // [n_queries, head_dim], not yet divided by the sum
    float* p;           // [n_queries, kBlock]: scores, then factors of the values
    float* sums;        // [n_queries, 16]
    float* max;         // [n_queries]
    float* correction;  // [n_queries]
    int16_t* codes;     // [n_queries, kBlock], of the factors; attention_int only
    float* unit;        // [n_queries], of the codes; attention_int only
    // Values are added right after the scores: those are computed while the values are fetched.
    bool values_follow = false;
    // Else each step asks for what it will read of the cache a few rows later.
    bool keys_ahead = false;
    bool values_ahead = false;
};

// One block of keys. Indices count from the block's start; begin .. end - 1 is what some query
// sees, first[i] .. last[i] - 1 what query i sees (first = kBlock, last = 0 if nothing).
struct Block {
    int begin;
    int end;
    int first[kMaxAttentionQueries];
    int last[kMaxAttentionQueries];
    const uint8_t* keys[kAttentionBlock];
    const uint8_t* values[kAttentionBlock];
    float k_scale[kAttentionBlock];
    float v_scale[kAttentionBlock];
};

// Finds what each query sees of the block at `start`; false if no query sees anything.
bool find_ranges(const AttentionArgs& args, int32_t start, Block& block) {
    block.begin = kBlock;
    block.end = 0;
    for (size_t i = 0; i < args.n_queries; ++i) {
        const int32_t first = args.first[i] > start ? args.first[i] - start : 0;
        const int32_t last = args.last[i] - start < kBlock ? args.last[i] - start : kBlock;
        const bool any = first < last;
        block.first[i] = any ? first : kBlock;
        block.last[i] = any ? last : 0;
        if (block.first[i] < block.begin) block.begin = block.first[i];
        if (block.last[i] > block.end) block.end = block.last[i];
    }
    return block.begin < block.end;
}

// Finds the slots of the keys that are seen.
void find_slots(const AttentionArgs& args, int32_t start, Block& block) {
    size_t slot = static_cast<size_t>(start + block.begin) % args.n_slots;
    for (int j = block.begin; j < block.end; ++j) {
        block.keys[j] = args.k + slot * args.slot_stride_bytes;
        block.values[j] = args.v + slot * args.slot_stride_bytes;
        if (args.kv_type == KvType::i8) {
            block.k_scale[j] = args.k_scale[slot * args.scale_stride];
            block.v_scale[j] = args.v_scale[slot * args.scale_stride];
        }
        slot = slot + 1 == args.n_slots ? 0 : slot + 1;
    }
}

inline void prefetch_row(const uint8_t* row, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i += 64) {
        __builtin_prefetch(row + i, 0, 2);
    }
}

// Asks for what lies `n_rows` slots behind a row. At the end of a ring that is nothing useful, and
// no fault.
inline void prefetch_later(const AttentionArgs& args, const uint8_t* row, size_t n_rows,
                           size_t n_bytes) {
    const uintptr_t later = reinterpret_cast<uintptr_t>(row) + n_rows * args.slot_stride_bytes;
    prefetch_row(reinterpret_cast<const uint8_t*>(later), n_bytes);
}
constexpr size_t kKeysAhead = 8;  // slots

// Turns the scores of one query into the factors of the values; brings maximum, correction and
// sums up to date.
void weigh_query(const AttentionArgs& args, const Block& block, const Workspace& space,
                 size_t query) {
    float* p = space.p + query * kAttentionBlock;
    const bool scaled = args.kv_type == KvType::i8;
    Part scores[kBlockParts];
    Part maxima = part_set(-INFINITY);
#pragma GCC unroll 8
    for (size_t i = 0; i < kBlockParts; ++i) {
        Part score = part_load(p + i * kPartLanes);
        if (scaled) score = part_mul(score, part_load(block.k_scale + i * kPartLanes));
        const int lane = static_cast<int>(i * kPartLanes);
        scores[i] = part_in_range(score, part_set(-INFINITY), block.first[query] - lane,
                                  block.last[query] - lane);
        maxima = part_max(scores[i], maxima);
    }
    const float old_max = space.max[query];
    const float block_max = part_largest(maxima);
    const float max = block_max > old_max ? block_max : old_max;
    const Part correction = part_exp(part_set(old_max - max));
    space.max[query] = max;
    space.correction[query] = part_first(correction);
#pragma GCC unroll 8
    for (size_t i = 0; i < kBlockParts; ++i) {
        // A score of -infinity outside the range gives exactly 0.
        scores[i] = part_exp(part_sub(scores[i], part_set(max)));
        Part factor = scores[i];
        if (scaled) factor = part_mul(factor, part_load(block.v_scale + i * kPartLanes));
        part_store(p + i * kPartLanes, factor);
    }
    float* sums = space.sums + query * 16;
#pragma GCC unroll 4
    for (size_t i = 0; i < kParts; ++i) {
        const Part low = part_fma(part_load(sums + i * kPartLanes), correction, scores[i]);
        part_store(sums + i * kPartLanes, part_add(low, scores[i + kParts]));
    }
}

// Writes the components begin .. end - 1 of the results.
void finish(const AttentionArgs& args, const Workspace& space, size_t begin, size_t end) {
    for (size_t query = 0; query < args.n_queries; ++query) {
        Part lanes[kParts];
        for (size_t i = 0; i < kParts; ++i) {
            lanes[i] = part_load(space.sums + query * 16 + i * kPartLanes);
        }
        const Part sum = part_set(part_tree(lanes));
        const float* o = space.o + query * args.head_dim;
        float* out = args.out + query * args.out_stride;
        for (size_t d = begin; d < end; d += kPartLanes) {
            part_store(out + d, part_div(part_load(o + d), sum));
        }
    }
}

// The state of every query before the first block.
void start_softmax(const AttentionArgs& args, const Workspace& space) {
    memset(space.p, 0, args.n_queries * kAttentionBlock * sizeof(float));
    memset(space.sums, 0, args.n_queries * 16 * sizeof(float));
    memset(space.o, 0, args.n_queries * args.head_dim * sizeof(float));
    for (size_t i = 0; i < args.n_queries; ++i) space.max[i] = -INFINITY;
}

// Calls step(start, block, index) for the blocks begin .. end - 1, counted from the first one that
// holds a key, of which some query sees a key; the block's ranges are filled in, its slots are not.
template <class Step>
void for_blocks(const AttentionArgs& args, size_t begin, size_t end, const Step& step) {
    int32_t first = args.first[0];
    for (size_t i = 1; i < args.n_queries; ++i)
        first = args.first[i] < first ? args.first[i] : first;
    Block block;
    memset(block.k_scale, 0, sizeof(block.k_scale));
    memset(block.v_scale, 0, sizeof(block.v_scale));
    // The start is counted in blocks, since the position behind the last block may be too large.
    for (size_t index = begin; index < end; ++index) {
        const int32_t start = (first / kBlock + static_cast<int32_t>(index)) * kBlock;
        if (find_ranges(args, start, block)) step(start, block, index);
    }
}

}  // namespace
}  // namespace gemlet

// The steps of attention for workers that share a call: score, weigh and add of AttentionVariant,
// written once for attention in floats and in integers. Included after either's blocks header;
// everything has internal linkage.
//
// Why: a decoded token has few queries, so cutting them among the workers makes every worker read
// and widen all keys and values, which costs as much as the products. Scores are independent of
// each other, so they are cut by keys; output components are independent of each other, so they are
// cut by components; only the softmax between them goes from block to block, and it is cheap.
//
// Steps is FloatSteps or IntSteps: Space, start_scores, score, weigh, add.
#pragma once

#include "kernels/attention/attention_softmax.h"

namespace gemlet {
namespace {

// The memory of a shared call.
struct SharedParts {
    float* p;           // [n_blocks, n_queries, kBlock]
    float* correction;  // [n_blocks, n_queries]
    float* unit;        // [n_blocks, n_queries]
    int16_t* codes;     // [n_blocks, n_queries, kBlock]
    float* o;           // [n_queries, head_dim]
    float* sums;        // [n_queries, 16]
    float* max;         // [n_queries]
    size_t n_blocks;
};

inline SharedParts cut_shared(const AttentionArgs& args, float* memory) {
    const size_t n = args.n_queries;
    const uintptr_t address = (reinterpret_cast<uintptr_t>(memory) + 63) / 64 * 64;
    SharedParts parts;
    parts.n_blocks = attention_blocks(args);
    parts.p = reinterpret_cast<float*>(address);
    parts.codes = reinterpret_cast<int16_t*>(parts.p + parts.n_blocks * n * kAttentionBlock);
    parts.o = reinterpret_cast<float*>(parts.codes + parts.n_blocks * n * kAttentionBlock);
    parts.sums = parts.o + n * args.head_dim;
    parts.max = parts.sums + n * 16;
    parts.correction = parts.max + n;
    parts.unit = parts.correction + parts.n_blocks * n;
    return parts;
}

// Points to what all workers share of a block.
template <class Space>
void point_at_block(const AttentionArgs& args, const SharedParts& parts, size_t index,
                    Space& space) {
    const size_t row = index * args.n_queries;
    space.p = parts.p + row * kAttentionBlock;
    space.codes = parts.codes + row * kAttentionBlock;
    space.correction = parts.correction + row;
    space.unit = parts.unit + row;
}

template <class Space>
Space shared_space(const SharedParts& parts) {
    Space space{};
    space.values_ahead = true;
    space.o = parts.o;
    space.sums = parts.sums;
    space.max = parts.max;
    return space;
}

template <class Steps>
void score_share(const AttentionArgs& args, const AttentionShare& share) {
    const SharedParts parts = cut_shared(args, share.memory);
    typename Steps::Space space = Steps::start_scores(args);
    space.keys_ahead = true;
    for_blocks(args, share.begin, share.end, [&](int32_t start, Block& block, size_t index) {
        point_at_block(args, parts, index, space);
        find_slots(args, start, block);
        if (block.end - block.begin < kBlock) {
            memset(space.p, 0, args.n_queries * kAttentionBlock * sizeof(float));
        }
        Steps::score(args, block, space);
    });
}

template <class Steps>
void weigh_share(const AttentionArgs& args, const AttentionShare& share) {
    const SharedParts parts = cut_shared(args, share.memory);
    auto space = shared_space<typename Steps::Space>(parts);
    for (size_t query = share.begin; query < share.end; ++query) {
        space.max[query] = -INFINITY;
        memset(space.sums + query * 16, 0, 16 * sizeof(float));
    }
    for_blocks(args, 0, parts.n_blocks, [&](int32_t start, Block& block, size_t index) {
        point_at_block(args, parts, index, space);
        if (args.kv_type == KvType::i8) find_slots(args, start, block);
        for (size_t query = share.begin; query < share.end; ++query) {
            Steps::weigh(args, block, space, query);
        }
    });
}

template <class Steps>
void add_share(const AttentionArgs& args, const AttentionShare& share) {
    const SharedParts parts = cut_shared(args, share.memory);
    auto space = shared_space<typename Steps::Space>(parts);
    const size_t n = share.end - share.begin;
    for (size_t query = 0; query < args.n_queries; ++query) {
        memset(space.o + query * args.head_dim + share.begin, 0, n * sizeof(float));
    }
    for_blocks(args, 0, parts.n_blocks, [&](int32_t start, Block& block, size_t index) {
        point_at_block(args, parts, index, space);
        find_slots(args, start, block);
        Steps::add(args, block, space, share.begin, share.end);
    });
    finish(args, space, share.begin, share.end);
}

// A variant with these steps.
template <class Steps>
constexpr AttentionVariant with_steps(const char* name, Isa isa,
                                      void (*run)(const AttentionArgs&)) {
    return {name, isa, run, score_share<Steps>, weigh_share<Steps>, add_share<Steps>};
}

}  // namespace
}  // namespace gemlet

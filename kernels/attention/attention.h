// Attention of query rows that share one KV head: softmax(q . k) v over a range of positions,
// online over blocks of keys. Canonical arithmetic (the same bits in every variant, for every split
// of the queries and of the prompt), for each query on its own:
//   blocks of kAttentionBlock keys start at absolute positions that are multiples of it; a block
//     without a key of the query's range is passed over, as is every key outside the range;
//   score s = dot over 16 lanes (lane = component mod 16, fused multiply-adds in order), tree
//     i+8, i+4, i+2, i+1; with an int8 cache the sum is multiplied by the key's scale;
//   per block: m' = max(m, max s), c = exp(m - m'), p = exp(s - m') (0 outside the range);
//     sums over 16 lanes (lane = position mod 16): l = fma(l, c, p_low), then l = l + p_high;
//     o[d] = o[d] * c, then o[d] = fma(p, v[d], o[d]) for the keys of the range in order; with an
//     int8 cache (p * v_scale), rounded, stands for p;
//   result o[d] / tree(l). At the start m = -infinity, l and o are 0.
// exp is canonical_exp of kernels/vector. Scores that are not finite give unspecified results, but
// only for the queries that see such a key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/isa.h"

namespace gemlet {

constexpr size_t kAttentionBlock = 32;

/// Element type of a KV cache.
enum class KvType : uint8_t { f32, f16, i8 };

/// Shapes: q and out [n_queries, head_dim], strides in elements; query i sees positions
/// first[i] .. last[i] - 1 (at least one). Position p lies in slot p % n_slots: its key at
/// k + slot * slot_stride_bytes, its value likewise. i8: k_scale[slot * scale_stride] and
/// v_scale[...] are the scales of that slot; otherwise null. scratch:
/// attention_scratch_floats(n_queries, head_dim) floats, one per thread.
/// head_dim: a multiple of 16. Pointers need no alignment beyond their element's. Only slots of
/// positions in the union of the ranges are read: at most n_slots positions from the smallest first
/// to the largest last. Aliasing: out may equal q. Threads: pure; callers split heads and queries.
struct AttentionArgs {
    const float* q;
    size_t q_stride;
    float* out;
    size_t out_stride;
    size_t n_queries;
    size_t head_dim;
    const int32_t* first;
    const int32_t* last;
    KvType kv_type;
    const uint8_t* k;
    const uint8_t* v;
    size_t slot_stride_bytes;
    size_t n_slots;
    const float* k_scale;
    const float* v_scale;
    size_t scale_stride;
    float* scratch;
};

/// Most queries of one call.
constexpr size_t kMaxAttentionQueries = 64;
/// Floats of scratch that a call with these shapes may use.
size_t attention_scratch_floats(size_t n_queries, size_t head_dim);

/// A part of one of the three steps of a shared call. Blocks are counted from the one that holds
/// the smallest position seen (attention_blocks). memory: attention_shared_floats(...) floats, the
/// same for all parts of a call.
struct AttentionShare {
    float* memory;
    size_t begin;
    size_t end;
};

/// Blocks from the one that holds the smallest position of the ranges to that of the largest.
size_t attention_blocks(const AttentionArgs& args);
/// Floats of memory that workers share to attend together.
size_t attention_shared_floats(size_t n_queries, size_t head_dim, size_t n_blocks);

/// score, weigh and add are the steps of `run` for workers that share one call, so that each key
/// and value is read and widened once and not by every worker: score for parts of the blocks,
/// weigh for parts of the queries, add for parts of the head (components, begin and end multiples
/// of 16), each step after all parts of the one before. They give the bits of `run`. Threads: parts
/// of a step touch separate memory; each worker has an args.scratch of its own. Null in variants
/// that have no such steps.
struct AttentionVariant {
    const char* name;
    Isa isa;
    void (*run)(const AttentionArgs& args);
    void (*score)(const AttentionArgs& args, const AttentionShare& share) = nullptr;
    void (*weigh)(const AttentionArgs& args, const AttentionShare& share) = nullptr;
    void (*add)(const AttentionArgs& args, const AttentionShare& share) = nullptr;
};

/// Variants built into this library, best first, scalar last.
std::span<const AttentionVariant* const> attention_variants();

}  // namespace gemlet

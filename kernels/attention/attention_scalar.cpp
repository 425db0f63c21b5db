// The contract written out: one query after the other, one block of keys after the other. The
// definition that every other variant reproduces bit for bit.
#include <math.h>
#include <string.h>

#include "kernels/attention/attention.h"
#include "kernels/vector/canonical.h"
#include "quant/formats/float16.h"

namespace gemlet {
namespace {

constexpr auto kBlock = static_cast<int32_t>(kAttentionBlock);

// Running state of one query; o is the output row, not yet divided by the sum.
struct State {
    float max;
    float sum[kLanes];
    float* o;
};

float element(KvType type, const uint8_t* row, size_t i) {
    if (type == KvType::i8) {
        int8_t code = 0;
        memcpy(&code, row + i, 1);
        return static_cast<float>(code);
    }
    if (type == KvType::f16) {
        uint16_t half = 0;
        memcpy(&half, row + i * sizeof(half), sizeof(half));
        return f16_to_f32(half);
    }
    float value = 0.0F;
    memcpy(&value, row + i * sizeof(value), sizeof(value));
    return value;
}

size_t slot_of(const AttentionArgs& args, int32_t position) {
    return static_cast<size_t>(position) % args.n_slots;
}

float score(const AttentionArgs& args, const float* q, int32_t position) {
    const size_t slot = slot_of(args, position);
    const uint8_t* key = args.k + slot * args.slot_stride_bytes;
    float lanes[kLanes] = {};
    for (size_t i = 0; i < args.head_dim; ++i) {
        lanes[i % kLanes] = fmaf(q[i], element(args.kv_type, key, i), lanes[i % kLanes]);
    }
    const float sum = canonical_tree(lanes);
    return args.kv_type == KvType::i8 ? sum * args.k_scale[slot * args.scale_stride] : sum;
}

void add_value(const AttentionArgs& args, State& state, int32_t position, float p) {
    const size_t slot = slot_of(args, position);
    const uint8_t* value = args.v + slot * args.slot_stride_bytes;
    const float factor =
        args.kv_type == KvType::i8 ? p * args.v_scale[slot * args.scale_stride] : p;
    for (size_t d = 0; d < args.head_dim; ++d) {
        state.o[d] = fmaf(factor, element(args.kv_type, value, d), state.o[d]);
    }
}

// Takes up the keys begin .. end - 1, which lie in one block.
void add_block(const AttentionArgs& args, const float* q, int32_t begin, int32_t end,
               State& state) {
    float p[kAttentionBlock] = {};
    float max = state.max;
    for (int32_t position = begin; position < end; ++position) {
        const float s = score(args, q, position);
        p[position % kBlock] = s;
        max = s > max ? s : max;
    }
    const float correction = canonical_exp(state.max - max);
    for (int32_t position = begin; position < end; ++position) {
        p[position % kBlock] = canonical_exp(p[position % kBlock] - max);
    }
    for (size_t i = 0; i < kLanes; ++i) {
        state.sum[i] = fmaf(state.sum[i], correction, p[i]) + p[i + kLanes];
    }
    for (size_t d = 0; d < args.head_dim; ++d) state.o[d] = state.o[d] * correction;
    for (int32_t position = begin; position < end; ++position) {
        add_value(args, state, position, p[position % kBlock]);
    }
    state.max = max;
}

void run(const AttentionArgs& args) {
    for (size_t i = 0; i < args.n_queries; ++i) {
        const float* q = args.q + i * args.q_stride;
        State state = {.max = -INFINITY, .sum = {}, .o = args.scratch};
        memset(state.o, 0, args.head_dim * sizeof(float));
        int32_t begin = args.first[i];
        while (begin < args.last[i]) {
            const int32_t block_left = kBlock - begin % kBlock;
            const int32_t left = args.last[i] - begin;
            const int32_t end = begin + (left < block_left ? left : block_left);
            add_block(args, q, begin, end, state);
            begin = end;
        }
        const float sum = canonical_tree(state.sum);
        float* out = args.out + i * args.out_stride;
        for (size_t d = 0; d < args.head_dim; ++d) out[d] = state.o[d] / sum;
    }
}

}  // namespace

extern const AttentionVariant attention_scalar;
const AttentionVariant attention_scalar = {"scalar", Isa::scalar, run};

}  // namespace gemlet

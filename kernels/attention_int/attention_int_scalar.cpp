// The contract written out: one query after the other, one block of keys after the other. The
// definition that every other variant reproduces bit for bit.
#include <math.h>
#include <string.h>

#include "kernels/attention_int/attention_int.h"
#include "kernels/vector/canonical.h"

namespace gemlet {
namespace {

constexpr auto kBlock = static_cast<int32_t>(kAttentionBlock);

// Running state of one query; o is the output row, not yet divided by the sum.
struct State {
    int16_t q[kMaxIntHeadDim];
    float q_unit;
    float max;
    float sum[kLanes];
    float* o;
};

// Rounds n floats to codes; returns their unit.
float round_to_codes(const float* x, size_t n, int16_t* codes) {
    float largest = 0.0F;
    for (size_t i = 0; i < n; ++i) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    const bool zero = largest < kLeastIntMagnitude;
    const float inverse = zero ? 0.0F : kLargestCode / largest;
    for (size_t i = 0; i < n; ++i) {
        const float code = rintf(x[i] * inverse);
        codes[i] = isnan(code) ? int16_t{0} : static_cast<int16_t>(code);
    }
    return zero ? 0.0F : largest * kCodeUnit;
}

size_t slot_of(const AttentionArgs& args, int32_t position) {
    return static_cast<size_t>(position) % args.n_slots;
}

int32_t code_at(const uint8_t* row, size_t i) { return static_cast<int8_t>(row[i]); }

float score(const AttentionArgs& args, const State& state, int32_t position) {
    const size_t slot = slot_of(args, position);
    const uint8_t* key = args.k + slot * args.slot_stride_bytes;
    int32_t sum = 0;
    for (size_t i = 0; i < args.head_dim; ++i) sum += state.q[i] * code_at(key, i);
    return static_cast<float>(sum) * state.q_unit * args.k_scale[slot * args.scale_stride];
}

// Takes up the values of the keys begin .. end - 1 with their probabilities.
void add_values(const AttentionArgs& args, State& state, int32_t begin, int32_t end, const float* p,
                float correction) {
    float factors[kAttentionBlock] = {};
    for (int32_t position = begin; position < end; ++position) {
        const size_t slot = slot_of(args, position);
        factors[position % kBlock] = p[position % kBlock] * args.v_scale[slot * args.scale_stride];
    }
    int16_t codes[kAttentionBlock];
    const float unit = round_to_codes(factors, kAttentionBlock, codes);
    for (size_t d = 0; d < args.head_dim; ++d) {
        int32_t sum = 0;
        for (int32_t position = begin; position < end; ++position) {
            const uint8_t* value = args.v + slot_of(args, position) * args.slot_stride_bytes;
            sum += codes[position % kBlock] * code_at(value, d);
        }
        state.o[d] = fmaf(static_cast<float>(sum), unit, state.o[d] * correction);
    }
}

// Takes up the keys begin .. end - 1, which lie in one block.
void add_block(const AttentionArgs& args, int32_t begin, int32_t end, State& state) {
    float p[kAttentionBlock] = {};
    float max = state.max;
    for (int32_t position = begin; position < end; ++position) {
        const float s = score(args, state, position);
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
    add_values(args, state, begin, end, p, correction);
    state.max = max;
}

void run(const AttentionArgs& args) {
    for (size_t i = 0; i < args.n_queries; ++i) {
        State state;
        state.max = -INFINITY;
        state.o = args.scratch;
        memset(state.sum, 0, sizeof(state.sum));
        memset(state.o, 0, args.head_dim * sizeof(float));
        state.q_unit = round_to_codes(args.q + i * args.q_stride, args.head_dim, state.q);
        int32_t begin = args.first[i];
        while (begin < args.last[i]) {
            const int32_t block_left = kBlock - begin % kBlock;
            const int32_t left = args.last[i] - begin;
            const int32_t end = begin + (left < block_left ? left : block_left);
            add_block(args, begin, end, state);
            begin = end;
        }
        const float sum = canonical_tree(state.sum);
        float* out = args.out + i * args.out_stride;
        for (size_t d = 0; d < args.head_dim; ++d) out[d] = state.o[d] / sum;
    }
}

}  // namespace

extern const AttentionVariant attention_int_scalar;
const AttentionVariant attention_int_scalar = {"scalar", Isa::scalar, run};

}  // namespace gemlet

// Weight rows as a sequence of Block128, whatever their type: `row` chooses a row, `load` gives 128
// columns of it. Included by ISA files only: everything is in an anonymous namespace.
#pragma once

#include "kernels/matmul_block/block_loaders_neon.h"
#include "kernels/matmul_block/block_traits.h"
#include "kernels/matmul_block/matmul_block.h"
#include "quant/formats/unpack_codes.h"

namespace gemlet {
namespace {

constexpr size_t kSlots = 4;  // rows that can be chosen at the same time

// Bytes of the rows in the integer view, at the start of scratch.
constexpr size_t unpacked_bytes(size_t k) {
    const size_t padded = (k + 255) / 256 * 256;
    return kSlots * (padded + padded / 2);
}

// Reads the stored blocks of format F. Blocks of 32 may end before 256 columns do: the last ones
// are copied and followed by zeros, whose scale is zero.
template <class F>
class StoredRows {
  public:
    static constexpr Width kWidth = F::kWidth;
    static constexpr bool kHalves = F::kHalves;
    static constexpr bool kMins = F::kMins;

    explicit StoredRows(const MatmulBlockArgs& args)
        : args_(args), n_full_(args.k / 256), tail_bytes_(args.k % 256 * F::kBytes / 256) {}
    static constexpr int bias() { return F::kBias; }
    // Asks for the cache lines of the block `ahead` bytes after this one. A hint: never faults.
    __attribute__((always_inline)) void prefetch(size_t block, size_t slot, size_t ahead) const {
        const uint8_t* p = rows_[slot] + block * F::kBytes + ahead;
#pragma GCC unroll 5
        for (size_t at = 0; at < F::kBytes; at += 64) __builtin_prefetch(p + at);
    }
    void row(size_t n, size_t slot) { rows_[slot] = args_.weights + n * args_.weight_stride_bytes; }
    __attribute__((always_inline)) void load(size_t block, size_t quad, size_t slot,
                                             Block128& b) const {
        const uint8_t* p = rows_[slot] + block * F::kBytes;
        if (block < n_full_) [[likely]] {
            F::load(p, quad, b);
            return;
        }
        uint8_t tail[F::kBytes] = {};
        memcpy(tail, p, tail_bytes_);
        F::load(tail, quad, b);
    }

  private:
    const MatmulBlockArgs& args_;
    const uint8_t* rows_[kSlots] = {};
    size_t n_full_;
    size_t tail_bytes_;
};

// Rows taken through the integer view, at most kSlots at a time, in scratch. Codes are signed.
template <Width kWidthOf, bool kHalvesOf, bool kMinsOf>
class UnpackedRows {
  public:
    static constexpr Width kWidth = kWidthOf;
    static constexpr bool kHalves = kHalvesOf;
    static constexpr bool kMins = kMinsOf;

    UnpackedRows(const MatmulBlockArgs& args, uint8_t* scratch)
        : args_(args), scratch_(scratch), padded_((args.k + 255) / 256 * 256) {}
    static constexpr int bias() { return 0; }
    void prefetch(size_t, size_t, size_t) const {}
    void row(size_t n, size_t slot) {
        int8_t* codes = codes_at(slot);
        float* scales = scales_at(slot);
        float* mins = scales + padded_ / 16;
        unpack_codes(args_.type, args_.weights + n * args_.weight_stride_bytes, args_.k, codes,
                     scales, mins);
        const size_t n_groups = args_.k / 16;
        memset(codes + args_.k, 0, padded_ - args_.k);
        memset(scales + n_groups, 0, (padded_ / 16 - n_groups) * sizeof(float));
        memset(mins + n_groups, 0, (padded_ / 16 - n_groups) * sizeof(float));
    }
    void load(size_t block, size_t quad, size_t slot, Block128& b) const {
        const int8_t* codes = codes_at(slot) + 256 * block + 128 * quad;
#pragma GCC unroll 8
        for (size_t i = 0; i < 8; ++i) b.codes[i] = vld1q_s8(codes + 16 * i);
        const float* scales = scales_at(slot) + 16 * block + 8 * quad;
        split(scales, b.scale);
        if (kMins) split(scales + padded_ / 16, b.min);
    }

  private:
    int8_t* codes_at(size_t slot) const {
        return reinterpret_cast<int8_t*>(scratch_ + slot * (padded_ + padded_ / 16 * 8));
    }
    float* scales_at(size_t slot) const {
        return reinterpret_cast<float*>(codes_at(slot) + padded_);
    }
    // 8 values of 16 columns each to those of the first and of the second halves of 32.
    static void split(const float* from, float32x4_t to[2]) {
        const float32x4_t a = vld1q_f32(from);
        const float32x4_t b = vld1q_f32(from + 4);
        to[0] = vuzp1q_f32(a, b);
        to[1] = vuzp2q_f32(a, b);
    }

    const MatmulBlockArgs& args_;
    uint8_t* scratch_;
    size_t padded_;
};

// Calls use(rows) with the rows of args' type. `scratch` holds kSlots rows in the integer view.
template <class Use>
void with_rows(const MatmulBlockArgs& args, uint8_t* scratch, Use use) {
    switch (args.type) {
        case WeightType::q4_0:
            return use(StoredRows<Q40>(args));
        case WeightType::q4_1:
            return use(StoredRows<Q41>(args));
        case WeightType::q5_0:
            return use(StoredRows<Q50>(args));
        case WeightType::q5_1:
            return use(StoredRows<Q51>(args));
        case WeightType::q8_0:
            return use(StoredRows<Q80>(args));
        case WeightType::q4_k:
            return use(StoredRows<Q4K>(args));
        case WeightType::q5_k:
            return use(StoredRows<Q5K>(args));
        case WeightType::q6_k:
            return use(StoredRows<Q6K>(args));
        case WeightType::iq4_nl:
            return use(StoredRows<Iq4Nl>(args));
        case WeightType::iq4_xs:
            return use(StoredRows<Iq4Xs>(args));
        default:
            break;
    }
    const BlockTraits traits = block_traits(args.type);
    if (traits.mins) return use(UnpackedRows<Width::s8, true, true>(args, scratch));  // q2_k
    if (traits.halves) return use(UnpackedRows<Width::s8, true, false>(args, scratch));
    return use(UnpackedRows<Width::s8, false, false>(args, scratch));
}

}  // namespace
}  // namespace gemlet

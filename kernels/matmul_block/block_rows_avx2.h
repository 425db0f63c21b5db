// Weight rows as a sequence of Block256, whatever their type: `row` chooses a row, `load` gives 256
// columns of it. Included by ISA files only: everything is in an anonymous namespace.
#pragma once

#include "kernels/matmul_block/block_loaders_avx2.h"
#include "kernels/matmul_block/block_traits.h"
#include "kernels/matmul_block/matmul_block.h"
#include "quant/formats/unpack_codes.h"

namespace gemlet {
namespace {

constexpr size_t kSlots = 8;  // rows that can be chosen at the same time

// Bytes of the rows in the integer view, at the start of scratch.
constexpr size_t unpacked_bytes(size_t k) {
    const size_t padded = (k + 255) / 256 * 256;
    return kSlots * (padded + padded / 2);
}

// What a tile's kernel must know of its rows: formats that share it share the code.
template <Width kWidthOf, bool kHalvesOf, bool kMinsOf>
struct Kind {
    static constexpr Width kWidth = kWidthOf;
    static constexpr bool kHalves = kHalvesOf;
    static constexpr bool kMins = kMinsOf;
};

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
        for (size_t at = 0; at < F::kBytes; at += 64) _mm_prefetch(p + at, _MM_HINT_T0);
    }
    bool is_whole(size_t block) const { return block < n_full_; }
    const uint8_t* at(size_t block, size_t slot) const { return rows_[slot] + block * F::kBytes; }
    void row(size_t n, size_t slot) { rows_[slot] = args_.weights + n * args_.weight_stride_bytes; }
    __attribute__((always_inline)) void load(size_t block, size_t slot, Block256& b) const {
        const uint8_t* p = rows_[slot] + block * F::kBytes;
        if (block < n_full_) [[likely]] {
            F::load(p, b);
            return;
        }
        uint8_t tail[F::kBytes] = {};
        memcpy(tail, p, tail_bytes_);
        F::load(tail, b);
    }

  private:
    const MatmulBlockArgs& args_;
    const uint8_t* rows_[kSlots] = {};
    size_t n_full_;
    size_t tail_bytes_;
};

// Rows taken through the integer view, at most kSlots at a time, in scratch.
template <Width kWidthOf, bool kHalvesOf, bool kMinsOf>
class UnpackedRows {
  public:
    static constexpr Width kWidth = kWidthOf;
    static constexpr bool kHalves = kHalvesOf;
    static constexpr bool kMins = kMinsOf;

    UnpackedRows(const MatmulBlockArgs& args, uint8_t* scratch)
        : args_(args),
          scratch_(scratch),
          padded_((args.k + 255) / 256 * 256),
          bias_(kWidth == Width::s8 ? 0 : block_traits(args.type).bias) {}
    int bias() const { return bias_; }
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
    void load(size_t block, size_t slot, Block256& b) const {
        const __m256i bias = _mm256_set1_epi8(static_cast<char>(bias_));
        const auto* codes = reinterpret_cast<const uint8_t*>(codes_at(slot)) + 256 * block;
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) {
#pragma GCC unroll 2
            for (int i = 0; i < 2; ++i) {
                const uint8_t* first = codes + 32 * j + 16 * i;
                b.codes[j + i] = _mm256_add_epi8(two_128(first, first + 32), bias);
            }
        }
        split(scales_at(slot) + 16 * block, b.scale);
        if (kMins) split(scales_at(slot) + padded_ / 16 + 16 * block, b.min);
    }

  private:
    int8_t* codes_at(size_t slot) const {
        return reinterpret_cast<int8_t*>(scratch_ + slot * (padded_ + padded_ / 16 * 8));
    }
    float* scales_at(size_t slot) const {
        return reinterpret_cast<float*>(codes_at(slot) + padded_);
    }
    // 16 values of 16 columns each to those of the first and of the second halves of 32.
    static void split(const float* from, __m256 to[2]) {
        const __m256 a = _mm256_loadu_ps(from);
        const __m256 b = _mm256_loadu_ps(from + 8);
        const __m256i order = _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7);
        to[0] = _mm256_permutevar8x32_ps(_mm256_shuffle_ps(a, b, 0x88), order);
        to[1] = _mm256_permutevar8x32_ps(_mm256_shuffle_ps(a, b, 0xdd), order);
    }

    const MatmulBlockArgs& args_;
    uint8_t* scratch_;
    size_t padded_;
    int bias_;
};

// Calls use(rows) with the rows of args' type. `scratch` holds 8 rows in the integer view.
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
    if (traits.range > 127) return use(UnpackedRows<Width::s8, false, false>(args, scratch));
    if (traits.mins) return use(UnpackedRows<Width::u7, true, true>(args, scratch));  // q2_k
    if (traits.halves) return use(UnpackedRows<Width::u7, true, false>(args, scratch));
    return use(UnpackedRows<Width::u7, false, false>(args, scratch));
}

}  // namespace
}  // namespace gemlet

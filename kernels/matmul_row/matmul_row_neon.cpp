// ARMv8.0 (Raspberry Pi 4): products of bytes are 16 bits wide, eight to an instruction. Fields of
// int2 and int4 rows are small, so their products are added up in 16 bits (smlal) and widened
// before they can reach 2^15:
//   int2  3 * 128 a product, 85 fit;   int4  15 * 128, 17 fit.
// Products of int8 codes are widened at once (smull, sadalp).
//
// The multiplier of a Cortex-A72 takes one such instruction a cycle, so 8 multiply-adds a cycle are
// its peak; unpacking and widening run beside it in the other pipe.
// Many rows: 4 activation rows x 4 weight rows, 16 sums, 8 loads for 32 smlal (256 multiply-adds).
// Cycles as llvm-mca predicts them: bench/arm/README.md.
#include "kernels/matmul_row/row_few_neon.h"
#include "kernels/matmul_row/row_tile_neon.h"
#include "kernels/matmul_row/row_types.h"

namespace gemlet {

void matmul_row_pack_neon(const PackRowArgs& args);

namespace {

// Fewer activation rows, or limbs of them, are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 4;
constexpr int32_t kMaxCode = 128;

// Products of fields and activations that fit a signed 16-bit sum.
template <WeightType kType>
constexpr size_t products_in_sum() {
    return INT16_MAX / (Fields<kType>::kMaxField * kMaxCode);
}

template <WeightType kType>
struct Few : Fields<kType> {
    static constexpr size_t kStreams = Fields<kType>::kStreams;
    static constexpr bool kNarrow = kType != WeightType::i8r;
    // Each lane takes two products of every stream.
    static constexpr size_t kChunksInSum =
        kNarrow ? products_in_sum<kType>() / (2 * kStreams) : size_t{1} << 20;

    struct Sum {
        int16x8_t narrow;
        int32x4_t wide;
    };

    static inline __attribute__((always_inline)) void add(Sum& sum, int8x16_t fields,
                                                          int8x16_t codes) {
        if constexpr (kNarrow) {
            sum.narrow = vmlal_s8(sum.narrow, vget_low_s8(fields), vget_low_s8(codes));
            sum.narrow = vmlal_high_s8(sum.narrow, fields, codes);
        } else {
            const int16x8_t low = vmull_s8(vget_low_s8(fields), vget_low_s8(codes));
            sum.wide = vpadalq_s16(sum.wide, low);
            sum.wide = vpadalq_s16(sum.wide, vmull_high_s8(fields, codes));
        }
    }
    static inline __attribute__((always_inline)) void settle(Sum& sum) {
        if constexpr (kNarrow) {
            sum.wide = vpadalq_s16(sum.wide, sum.narrow);
            sum.narrow = vdupq_n_s16(0);
        }
    }
    static int32x4_t total(const Sum& sum) { return sum.wide; }
};

template <WeightType kType>
struct Scheme : Fields<kType> {
    static constexpr bool kPairs = false;
    static constexpr size_t kStreams = Fields<kType>::kStreams;
    static constexpr size_t kPlaneBytes = Tile<kStreams>::kPlaneBytes;
    static constexpr size_t kSegment =
        kType == WeightType::i8r ? 1 : products_in_sum<kType>() / 2;  // chunks until widening

    // Products of n_chunks chunks, added to the wide sums.
    template <size_t kMr>
    static inline __attribute__((always_inline)) void add_segment(const int8_t* w,
                                                                  const int8_t* codes,
                                                                  size_t row_bytes, size_t n_chunks,
                                                                  int32x4_t (&wide)[kMr][kGroup]) {
        int16x8_t sums[kMr][kGroup] = {};
        for (size_t at = 0; at < n_chunks * kChunk; at += kChunk) {
            int8x16_t fields[kGroup];
#pragma GCC unroll 4
            for (size_t r = 0; r < kGroup; ++r) fields[r] = vld1q_s8(w + r * kPlaneBytes + at);
#pragma GCC unroll 4
            for (size_t i = 0; i < kMr; ++i) {
                const int8x16_t x = vld1q_s8(codes + i * row_bytes + at);
#pragma GCC unroll 4
                for (size_t r = 0; r < kGroup; ++r) {
                    sums[i][r] = vmlal_s8(sums[i][r], vget_low_s8(fields[r]), vget_low_s8(x));
                    sums[i][r] = vmlal_high_s8(sums[i][r], fields[r], x);
                }
            }
        }
#pragma GCC unroll 16
        for (size_t i = 0; i < kMr * kGroup; ++i) {
            int32x4_t& sum = wide[i / kGroup][i % kGroup];
            sum = vpadalq_s16(sum, sums[i / kGroup][i % kGroup]);
            __asm__("" : "+m"(sum));  // at rest in memory, or they take the registers
        }
    }

    template <size_t kMr>
    static inline __attribute__((always_inline)) void add_wide(const int8_t* w, const int8_t* codes,
                                                               size_t row_bytes, size_t n_chunks,
                                                               int32x4_t (&wide)[kMr][kGroup]) {
        for (size_t at = 0; at < n_chunks * kChunk; at += kChunk) {
            int8x16_t fields[kGroup];
#pragma GCC unroll 4
            for (size_t r = 0; r < kGroup; ++r) fields[r] = vld1q_s8(w + r * kPlaneBytes + at);
#pragma GCC unroll 4
            for (size_t i = 0; i < kMr; ++i) {
                const int8x16_t x = vld1q_s8(codes + i * row_bytes + at);
#pragma GCC unroll 4
                for (size_t r = 0; r < kGroup; ++r) {
                    const int16x8_t low = vmull_s8(vget_low_s8(fields[r]), vget_low_s8(x));
                    wide[i][r] = vpadalq_s16(wide[i][r], low);
                    wide[i][r] = vpadalq_s16(wide[i][r], vmull_high_s8(fields[r], x));
                }
            }
        }
    }

    template <size_t kMr>
    static void multiply(const int8_t* w, const int8_t* codes, size_t row_bytes, size_t n_chunks,
                         int32_t* sums) {
        int32x4_t wide[kMr][kGroup] = {};
        if constexpr (kType == WeightType::i8r) {
            add_wide<kMr>(w, codes, row_bytes, n_chunks, wide);
        } else {
            for (size_t chunk = 0; chunk < n_chunks; chunk += kSegment) {
                const size_t n = n_chunks - chunk < kSegment ? n_chunks - chunk : kSegment;
                add_segment<kMr>(w + chunk * kChunk, codes + chunk * kChunk, row_bytes, n, wide);
            }
        }
        for (size_t i = 0; i < kMr; ++i) add_four(sums + i * kTileColumns, reduce_group(wide[i]));
    }

    static void multiply_rows(const Tile<kStreams>& tile, const TileInput& x, size_t n_rows,
                              size_t n_chunks, int32_t (*sums)[kTileColumns]) {
        multiply_in_fours<Scheme>(tile, x, n_rows, n_chunks, sums);
    }
};

void run(const MatmulRowArgs& args) {
    for_row_type(args.type, [&]<WeightType kType>() {
        if (args.m * args.x.n_limbs >= kTileMinRows) {
            run_many<Scheme<kType>>(args);
        } else {
            run_few<Few<kType>>(args);
        }
    });
}

}  // namespace

extern const MatmulRowVariant matmul_row_neon;
const MatmulRowVariant matmul_row_neon = {"neon", Isa::neon, matmul_row_pack_neon, run};

}  // namespace gemlet

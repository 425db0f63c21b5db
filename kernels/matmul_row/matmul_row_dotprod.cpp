// ARMv8.2 dot products (Cortex-A55, A76 and later, Raspberry Pi 5): sdot adds four products of
// bytes to each 32-bit lane.
//
// Few rows: row_few_neon.h; unpacking takes 2 operations for 2 products (int4), 6 for 4 (int2).
// Many rows: 4 activation rows x 4 weight rows, 16 sums, 8 loads for 16 sdot (256 multiply-adds).
// Two loads and two products a cycle (A76): products are the limit.
// Cycles as llvm-mca predicts them: bench/arm/README.md.
#include "kernels/matmul_row/row_few_dotprod.h"
#include "kernels/matmul_row/row_tile_neon.h"
#include "kernels/matmul_row/row_types.h"

namespace gemlet {

void matmul_row_pack_neon(const PackRowArgs& args);

namespace {

// Fewer activation rows, or limbs of them, are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 4;

template <WeightType kType>
struct Scheme : Fields<kType> {
    static constexpr bool kPairs = false;
    static constexpr size_t kStreams = Fields<kType>::kStreams;
    static constexpr size_t kPlaneBytes = Tile<kStreams>::kPlaneBytes;

    template <size_t kMr>
    static void multiply(const int8_t* w, const int8_t* codes, size_t row_bytes, size_t n_chunks,
                         int32_t* sums) {
        int32x4_t acc[kMr][kGroup] = {};
        for (size_t at = 0; at < n_chunks * kChunk; at += kChunk) {
            int8x16_t fields[kGroup];
#pragma GCC unroll 4
            for (size_t r = 0; r < kGroup; ++r) fields[r] = vld1q_s8(w + r * kPlaneBytes + at);
#pragma GCC unroll 4
            for (size_t i = 0; i < kMr; ++i) {
                const int8x16_t x = vld1q_s8(codes + i * row_bytes + at);
#pragma GCC unroll 4
                for (size_t r = 0; r < kGroup; ++r) {
                    acc[i][r] = vdotq_s32(acc[i][r], fields[r], x);
                }
            }
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < kMr; ++i) add_four(sums + i * kTileColumns, reduce_group(acc[i]));
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

extern const MatmulRowVariant matmul_row_dotprod;
const MatmulRowVariant matmul_row_dotprod = {"dotprod", Isa::dotprod, matmul_row_pack_neon, run};

}  // namespace gemlet

// ARMv8.6 matrix products (Cortex-A510, A710, X2, Neoverse V1 and later): smmla multiplies two rows
// of eight bytes with two others, 32 multiply-adds, twice as many as sdot.
//
// Few rows: row_few_dotprod.h, since a single row would leave half of each product unused.
// Many rows: 4 activation rows x 16 weight rows, 16 sums of 2 x 2 outputs. Weight rows are paired
// when they are unpacked, activation rows in registers: 20 loads and 4 moves for 32
// products (1024 multiply-adds), so the moves cost an eighth where products and moves share pipes.
// Tried in vain, on paper: 8 rows x 8 columns, which needs a move for every four products.
// Cycles as llvm-mca predicts them: bench/arm/README.md.
#include "kernels/matmul_row/row_few_dotprod.h"
#include "kernels/matmul_row/row_tile_neon.h"
#include "kernels/matmul_row/row_types.h"

namespace gemlet {

void matmul_row_pack_neon(const PackRowArgs& args);

namespace {

// Fewer activation rows, or limbs of them, are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 4;
constexpr size_t kTilePairs = kTileColumns / 2;

inline int8x16_t low_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}
inline int8x16_t high_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

template <WeightType kType>
struct Scheme : Fields<kType> {
    static constexpr bool kPairs = true;
    static constexpr size_t kStreams = Fields<kType>::kStreams;
    static constexpr size_t kPairBytes = 2 * Tile<kStreams>::kPlaneBytes;

    // Two pairs of activation rows (rows may be the same ones) times the tile's plane w.
    static inline __attribute__((always_inline)) void add_plane(const int8_t* w,
                                                                const int8_t* const* rows,
                                                                size_t n_chunks,
                                                                int32x4_t (&acc)[2][kTilePairs]) {
        for (size_t at = 0; at < n_chunks * kChunk; at += kChunk) {
            int8x16_t low[2];
            int8x16_t high[2];
#pragma GCC unroll 2
            for (size_t i = 0; i < 2; ++i) {
                const int8x16_t a = vld1q_s8(rows[2 * i] + at);
                const int8x16_t b = vld1q_s8(rows[2 * i + 1] + at);
                low[i] = low_halves(a, b);
                high[i] = high_halves(a, b);
            }
#pragma GCC unroll 8
            for (size_t pair = 0; pair < kTilePairs; ++pair) {
                const int8_t* from = w + pair * kPairBytes + 2 * at;
                const int8x16_t first = vld1q_s8(from);
                const int8x16_t second = vld1q_s8(from + kChunk);
#pragma GCC unroll 2
                for (size_t i = 0; i < 2; ++i) {
                    acc[i][pair] = vmmlaq_s32(acc[i][pair], low[i], first);
                    acc[i][pair] = vmmlaq_s32(acc[i][pair], high[i], second);
                }
            }
        }
    }

    static void multiply_rows(const Tile<kStreams>& tile, const TileInput& x, size_t n_rows,
                              size_t n_chunks, int32_t (*sums)[kTileColumns]) {
        for (size_t row = 0; row < n_rows; row += 4) {
            int32x4_t acc[2][kTilePairs] = {};
            for (size_t p = 0; p < kStreams; ++p) {
                const int8_t* rows[4];
                for (size_t i = 0; i < 4; ++i) {
                    const size_t at = row + i < n_rows ? row + i : n_rows - 1;
                    rows[i] = x.codes + at * x.row_bytes + p * x.stream_bytes;
                }
                add_plane(tile.fields[p], rows, n_chunks, acc);
            }
            for (size_t i = 0; i < 4 && row + i < n_rows; ++i) {
                for (size_t pair = 0; pair < kTilePairs; ++pair) {
                    const int32x4_t both = acc[i / 2][pair];
                    int32_t* to = sums[row + i] + 2 * pair;
                    const int32x2_t sum = i % 2 == 0 ? vget_low_s32(both) : vget_high_s32(both);
                    vst1_s32(to, vadd_s32(vld1_s32(to), sum));
                }
            }
        }
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

extern const MatmulRowVariant matmul_row_i8mm;
const MatmulRowVariant matmul_row_i8mm = {"i8mm", Isa::i8mm, matmul_row_pack_neon, run};

}  // namespace gemlet

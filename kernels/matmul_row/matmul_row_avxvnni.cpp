// AVX-VNNI: vpdpbusd with 256-bit registers multiplies unsigned weight fields with signed
// activations and adds four products to a 32-bit lane without saturation, so fields go in as they
// are; int8 weights become code + 128 by flipping their top bit.
//
// Few rows: row_few_avx2.h; the products of a chunk are summed before they meet the long sum, whose
// chain is then one addition. Many rows: row_tile_avx2.h with a register block of 6 rows x 2
// registers: 12 sums, 2 fields, 1 activation; 8 loads for 12 vpdpbusd (384 multiply-adds).
// Predicted, not measured: two vpdpbusd a cycle and 5 cycles of latency need 10 sums, so the inner
// loop runs at the peak of two ports; 85-90 % with unpacking and the output quantiser.
#include "kernels/matmul_row/row_few_avx2.h"
#include "kernels/matmul_row/row_tile_avx2.h"
#include "kernels/matmul_row/row_types.h"

namespace gemlet {

void matmul_row_pack_avx2(const PackRowArgs& args);

namespace {

// Fewer activation rows, or limbs of them, are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 6;
static_assert(kTileMinRows <= kMaxFew + 1);

template <size_t kStreamsOf, int32_t kZeroOf>
struct SmallFields {
    static constexpr size_t kStreams = kStreamsOf;
    static constexpr int32_t kZero = kZeroOf;
    static void unpack(__m256i raw, __m256i* fields) {
#pragma GCC unroll 4
        for (size_t s = 0; s < kStreams; ++s) fields[s] = field_at<8 / int{kStreams}>(raw, s);
    }
};

template <WeightType kType>
struct Fields;
template <>
struct Fields<WeightType::i2r> : SmallFields<4, 2> {};
template <>
struct Fields<WeightType::i4r> : SmallFields<2, 8> {};
template <>
struct Fields<WeightType::i8r> {
    static constexpr size_t kStreams = 1;
    static constexpr int32_t kZero = 128;
    static void unpack(__m256i raw, __m256i* fields) {
        fields[0] = _mm256_xor_si256(raw, _mm256_set1_epi8(-128));
    }
};

template <WeightType kType>
struct Few : Fields<kType> {
    static constexpr size_t kChunksInSum = 1 << 20;  // sums have 32 bits at once
    static __m256i widened(__m256i sum) { return sum; }

    template <size_t kMr, size_t kNr>
    static inline __attribute__((always_inline)) void add_chunk(const __m256i* raw, const Rows& x,
                                                                size_t byte,
                                                                __m256i (&sums)[kMr][kNr]) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) {
            __m256i fields[Fields<kType>::kStreams];
            Fields<kType>::unpack(raw[r], fields);
#pragma GCC unroll 8
            for (size_t i = 0; i < kMr; ++i) {
                __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
                for (size_t s = 0; s < Fields<kType>::kStreams; ++s) {
                    sum = _mm256_dpbusd_avx_epi32(sum, fields[s], load(x.at(i, s, byte)));
                }
                sums[i][r] = _mm256_add_epi32(sums[i][r], sum);
            }
        }
    }
};

// kMr activation rows times a plane of the tile.
template <size_t kMr>
__attribute__((noinline)) void multiply_plane(const uint8_t* fields, const int8_t* codes,
                                              size_t row_bytes, size_t n_quads,
                                              int32_t (*sums)[kTileColumns]) {
    __m256i acc[kMr][kTileVectors];
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
        acc[i][0] = load(sums[i]);
        acc[i][1] = load(sums[i] + 8);
    }
    for (size_t q = 0; q < n_quads; ++q) {
        const __m256i a = load(fields);
        const __m256i b = load(fields + kChunk);
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
            const __m256i x = broadcast_quad(codes + i * row_bytes);
            acc[i][0] = _mm256_dpbusd_avx_epi32(acc[i][0], a, x);
            acc[i][1] = _mm256_dpbusd_avx_epi32(acc[i][1], b, x);
            __asm__("" : "+x"(acc[i][0]), "+x"(acc[i][1]));  // else stored at every step
        }
        codes += kQuad;
        fields += kTileQuadBytes;
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(sums[i]), acc[i][0]);
        _mm256_store_si256(reinterpret_cast<__m256i*>(sums[i] + 8), acc[i][1]);
    }
}

template <WeightType kType>
struct Scheme : Fields<kType> {
    static constexpr size_t kPlanes = Fields<kType>::kStreams;

    template <size_t kMr>
    static void multiply(const Tile<kPlanes>& tile, const TileInput& x, size_t n_quads,
                         int32_t (*sums)[kTileColumns]) {
        for (size_t p = 0; p < kPlanes; ++p) {
            multiply_plane<kMr>(tile.fields[p][0][0], x.codes + p * x.stream_bytes, x.row_bytes,
                                n_quads, sums);
        }
    }

    static void multiply_rows(const Tile<kPlanes>& tile, TileInput x, size_t n_rows, size_t n_quads,
                              int32_t (*sums)[kTileColumns]) {
        for (; n_rows >= 6; n_rows -= 6, sums += 6, x.codes += 6 * x.row_bytes) {
            multiply<6>(tile, x, n_quads, sums);
        }
        if (n_rows == 5) multiply<5>(tile, x, n_quads, sums);
        if (n_rows == 4) multiply<4>(tile, x, n_quads, sums);
        if (n_rows == 3) multiply<3>(tile, x, n_quads, sums);
        if (n_rows == 2) multiply<2>(tile, x, n_quads, sums);
        if (n_rows == 1) multiply<1>(tile, x, n_quads, sums);
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

extern const MatmulRowVariant matmul_row_avxvnni;
const MatmulRowVariant matmul_row_avxvnni = {"avxvnni", Isa::avxvnni, matmul_row_pack_avx2, run};

}  // namespace gemlet

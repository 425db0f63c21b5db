// AVX2: unsigned weight fields times signed activations with vpmaddubsw, whose 16-bit pair sums
// saturate; so fields are kept small (int8 weights become two nibbles) and sums are widened to 32
// bits before they can reach 2^15:
//   int2  3 * 128 * 2 = 768 a pair sum, 42 fit;   int4 and nibbles  15 * 128 * 2 = 3840, 8 fit.
//
// Few rows: kGroup weight rows at a time are unpacked in registers and multiplied with 1..4
// activation rows; the loads of activations are shared by the weight rows.
// Many rows: row_tile_avx2.h with a register block of 4 rows x 2 registers: 8 16-bit sums, 2
// fields, 1 activation, 2 products; 6 loads for 8 vpmaddubsw (256 multiply-adds), and one widening
// for 8 (int4) or 16 (int2) products.
//
// Measured on one core of an AMD EPYC (Zen 4) shared with other work: 64 and 512 rows run at
// 85-88 % (int4) and 88-90 % (int2) of what vpmaddubsw + vpaddw do from registers; int8 at 43 %,
// because a code takes two products; 4 rows at 60 % (int4) and 70 % (int2), 8 rows at 65-74 %.
// Decode from L2: int4 33 GB/s, above what memory gives; int2 18-22 GB/s, 15 vector operations for
// 32 bytes (two sums for fields left where they are, to save shifts, were no faster).
#include <type_traits>

#include "kernels/matmul_row/row_few_avx2.h"
#include "kernels/matmul_row/row_tile_avx2.h"
#include "kernels/matmul_row/row_types.h"

namespace gemlet {

void matmul_row_pack_avx2(const PackRowArgs& args);

namespace {

// Fewer activation rows, or limbs of them, are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 8;
static_assert(kTileMinRows <= kMaxFew + 1);

template <WeightType kType>
struct Traits;
template <>
struct Traits<WeightType::i2r> {
    static constexpr size_t kStreams = 4;
    static constexpr size_t kPlanes = 4;        // fields of a weight byte
    static constexpr size_t kChunksInSum = 10;  // four products each
    static constexpr int32_t kZero = 2;
};
template <>
struct Traits<WeightType::i4r> {
    static constexpr size_t kStreams = 2;
    static constexpr size_t kPlanes = 2;
    static constexpr size_t kChunksInSum = 4;  // two products each
    static constexpr int32_t kZero = 8;
};
template <>
struct Traits<WeightType::i8r> {
    static constexpr size_t kStreams = 1;
    static constexpr size_t kPlanes = 2;  // nibbles of code + 128, in the tile only
    static constexpr int32_t kZero = 0;   // few rows multiply the signed codes themselves
};

inline __m256i widen(__m256i sums16, short worth) {
    return _mm256_madd_epi16(sums16, _mm256_set1_epi16(worth));
}

template <WeightType kType>
inline void unpack(__m256i raw, __m256i* fields) {
    constexpr size_t kPlanes = Traits<kType>::kPlanes;
    if (kType == WeightType::i8r) raw = _mm256_xor_si256(raw, _mm256_set1_epi8(-128));
#pragma GCC unroll 4
    for (size_t p = 0; p < kPlanes; ++p) fields[p] = field_at<8 / int{kPlanes}>(raw, p);
}

// int8 weights of few rows: multiplied as 16-bit numbers, so their sums are wide and centred.
struct FewCodes {
    static constexpr size_t kStreams = 1;
    static constexpr int32_t kZero = 0;
    static constexpr size_t kChunksInSum = 1 << 20;  // sums have 32 bits at once

    static __m256i widened(__m256i sum) { return sum; }

    template <size_t kMr, size_t kNr>
    static inline __attribute__((always_inline)) void add_chunk(const __m256i* raw, const Rows& x,
                                                                size_t byte,
                                                                __m256i (&sums)[kMr][kNr]) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) {
            const __m256i low = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(raw[r]));
            const __m256i high = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(raw[r], 1));
#pragma GCC unroll 8
            for (size_t i = 0; i < kMr; ++i) {
                const auto* codes = reinterpret_cast<const __m128i*>(x.at(i, 0, byte));
                const __m256i a =
                    _mm256_madd_epi16(low, _mm256_cvtepi8_epi16(_mm_loadu_si128(codes)));
                const __m256i b =
                    _mm256_madd_epi16(high, _mm256_cvtepi8_epi16(_mm_loadu_si128(codes + 1)));
                sums[i][r] = _mm256_add_epi32(sums[i][r], _mm256_add_epi32(a, b));
            }
        }
    }
};

// int2 and int4 weights of few rows, in 16-bit sums.
template <WeightType kType>
struct FewFields {
    static constexpr size_t kStreams = Traits<kType>::kStreams;
    static constexpr int32_t kZero = Traits<kType>::kZero;
    static constexpr size_t kChunksInSum = Traits<kType>::kChunksInSum;

    static __m256i widened(__m256i sum) { return widen(sum, 1); }

    // Stream after stream, so that a load of activations serves all weight rows and only kNr fields
    // are held at a time.
    template <size_t kMr, size_t kNr>
    static inline __attribute__((always_inline)) void add_chunk(const __m256i* raw, const Rows& x,
                                                                size_t byte,
                                                                __m256i (&sums)[kMr][kNr]) {
#pragma GCC unroll 8
        for (size_t s = 0; s < kStreams; ++s) {
            __m256i fields[kNr];
#pragma GCC unroll 8
            for (size_t r = 0; r < kNr; ++r) fields[r] = field_at<8 / int{kStreams}>(raw[r], s);
#pragma GCC unroll 8
            for (size_t i = 0; i < kMr; ++i) {
                const __m256i codes = load(x.at(i, s, byte));
#pragma GCC unroll 8
                for (size_t r = 0; r < kNr; ++r) {
                    __m256i& sum = sums[i][r];
                    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(fields[r], codes));
                    // Else the compiler regroups the sums and keeps all products until the end.
                    __asm__("" : "+x"(sum));
                }
            }
        }
    }
};

template <WeightType kType>
using Few = std::conditional_t<kType == WeightType::i8r, FewCodes, FewFields<kType>>;

// Adds kMr rows times n_quads quads of a plane to 16-bit sums, then widens these.
template <size_t kMr>
inline __attribute__((always_inline)) void add_segment(
    const uint8_t (*fields)[kTileVectors][kChunk], const int8_t* codes, size_t row_bytes,
    size_t n_quads, short worth, int32_t (*sums)[kTileColumns]) {
    __m256i narrow[kMr][kTileVectors];
#pragma GCC unroll 16
    for (size_t q = 0; q < n_quads; ++q) {
        const __m256i a = load(fields[q][0]);
        const __m256i b = load(fields[q][1]);
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
            const __m256i x = broadcast_quad(codes + i * row_bytes + q * kQuad);
            const __m256i product_a = _mm256_maddubs_epi16(a, x);
            const __m256i product_b = _mm256_maddubs_epi16(b, x);
            narrow[i][0] = q == 0 ? product_a : _mm256_add_epi16(narrow[i][0], product_a);
            narrow[i][1] = q == 0 ? product_b : _mm256_add_epi16(narrow[i][1], product_b);
            // Else the compiler regroups the sums and keeps all products until the end.
            __asm__("" : "+x"(narrow[i][0]), "+x"(narrow[i][1]));
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t v = 0; v < kTileVectors; ++v) {
            auto* sum = reinterpret_cast<__m256i*>(sums[i] + v * 8);
            *sum = _mm256_add_epi32(*sum, widen(narrow[i][v], worth));
            __asm__("" : "+m"(*sum));  // at rest in memory, or they take the registers
        }
    }
}

// kSegment quads keep 16-bit sums below 2^15.
template <size_t kMr, size_t kSegment>
void add_plane(const uint8_t (*fields)[kTileVectors][kChunk], const TileInput& x, size_t n_quads,
               short worth, int32_t (*sums)[kTileColumns]) {
    size_t q = 0;
    for (; q + kSegment <= n_quads; q += kSegment) {
        add_segment<kMr>(fields + q, x.codes + q * kQuad, x.row_bytes, kSegment, worth, sums);
    }
    for (; q < n_quads; ++q) {
        add_segment<kMr>(fields + q, x.codes + q * kQuad, x.row_bytes, 1, worth, sums);
    }
}

template <WeightType kType>
struct Scheme {
    static constexpr size_t kStreams = Traits<kType>::kStreams;
    static constexpr size_t kPlanes = Traits<kType>::kPlanes;
    static constexpr int32_t kZero = kType == WeightType::i8r ? 128 : Traits<kType>::kZero;

    static void unpack(__m256i raw, __m256i* fields) { gemlet::unpack<kType>(raw, fields); }

    template <size_t kMr>
    static void multiply(const Tile<kPlanes>& tile, const TileInput& x, size_t n_quads,
                         int32_t (*sums)[kTileColumns]) {
        constexpr size_t kSegment = kType == WeightType::i2r ? 16 : 8;
        for (size_t p = 0; p < kPlanes; ++p) {
            const bool nibbles = kType == WeightType::i8r;
            TileInput stream = x;
            stream.codes += nibbles ? 0 : p * x.stream_bytes;
            add_plane<kMr, kSegment>(tile.fields[p], stream, n_quads, nibbles && p == 1 ? 16 : 1,
                                     sums);
        }
    }

    static void multiply_rows(const Tile<kPlanes>& tile, TileInput x, size_t n_rows, size_t n_quads,
                              int32_t (*sums)[kTileColumns]) {
        for (; n_rows >= 4; n_rows -= 4, sums += 4) {
            multiply<4>(tile, x, n_quads, sums);
            x.codes += 4 * x.row_bytes;
        }
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

extern const MatmulRowVariant matmul_row_avx2;
const MatmulRowVariant matmul_row_avx2 = {"avx2", Isa::avx2, matmul_row_pack_avx2, run};

}  // namespace gemlet

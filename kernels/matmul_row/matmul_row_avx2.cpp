// AVX2: unsigned weight fields times signed activations with vpmaddubsw, whose 16-bit pair sums
// saturate; so fields are kept small (int8 weights become two nibbles) and sums are widened to 32
// bits before they can reach 2^15:
//   int2  3 * 128 * 2 = 768 a pair sum, 42 fit;   int4 and nibbles  15 * 128 * 2 = 3840, 8 fit.
//
// Measured with matmul_row_bench on one core of an AMD EPYC (Zen 4) shared with other work: int4
// decode 20-28 GB/s, 75-100 % of what that core reads; int2 decode 16 GB/s, 50-60 %; from L2 int4
// decode runs at 32 GB/s. 32 rows: int4 98 G multiply-adds/s, half of the 200 that vpmaddubsw +
// vpaddw do from registers. int8: 44, because a code takes two products.
//
// Few rows: kNr weight rows at a time are unpacked in registers and multiplied with 1..4 activation
// rows; the loads of activations are shared by the weight rows.
// Many rows: kTileRows weight rows are unpacked, 2048 fields each, into a tile of 16 KiB that stays
// in L1 while all activation rows stream by from L2; between such blocks of k the integer sums rest
// in the output itself. Register block 4 x 2: 8 sums, 2 fields, 1 activation, 1 product; 6 loads
// for 8 vpmaddubsw (256 multiply-adds).
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {

void matmul_row_pack_avx2(const PackRowArgs& args);

namespace {

constexpr size_t kChunk = 32;  // bytes of a register
constexpr size_t kGroup = 4;   // weight rows whose sums are reduced together
constexpr size_t kMaxMr = 4;
constexpr size_t kTileRows = 8;
constexpr size_t kTileFields = 2048;
// Fewer activation rows are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 8;

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
    static constexpr size_t kPlanes = 2;             // nibbles of code + 128, in the tile only
    static constexpr size_t kChunksInSum = 1 << 20;  // sums have 32 bits at once
    static constexpr int32_t kZero = 0;  // few rows multiply the signed codes themselves
};

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// Bytes beyond n are zero and not read.
inline __m256i load_part(const uint8_t* p, size_t n) {
    alignas(kChunk) uint8_t copy[kChunk] = {};
    memcpy(copy, p, n);
    return load(copy);
}

inline __m256i widen(__m256i sums16, short worth) {
    return _mm256_madd_epi16(sums16, _mm256_set1_epi16(worth));
}

template <WeightType kType>
inline void unpack(__m256i raw, __m256i* fields) {
    if constexpr (kType == WeightType::i2r) {
        const __m256i mask = _mm256_set1_epi8(3);
        fields[0] = _mm256_and_si256(raw, mask);
        fields[1] = _mm256_and_si256(_mm256_srli_epi16(raw, 2), mask);
        fields[2] = _mm256_and_si256(_mm256_srli_epi16(raw, 4), mask);
        fields[3] = _mm256_and_si256(_mm256_srli_epi16(raw, 6), mask);
    } else {
        const __m256i mask = _mm256_set1_epi8(15);
        if (kType == WeightType::i8r) raw = _mm256_xor_si256(raw, _mm256_set1_epi8(-128));
        fields[0] = _mm256_and_si256(raw, mask);
        fields[1] = _mm256_and_si256(_mm256_srli_epi16(raw, 4), mask);
    }
}

// ---- The end of every sum ----

struct Sums {
    __m256i part[kMaxMr][kGroup];  // [activation row, weight row], 8 lanes still to be added
};

inline __m128i reduce_group(const __m256i* part) {
    const __m256i low = _mm256_hadd_epi32(part[0], part[1]);
    const __m256i high = _mm256_hadd_epi32(part[2], part[3]);
    const __m256i all = _mm256_hadd_epi32(low, high);
    return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

// The first n of four floats. A copy of known size, because a short copy that is read back as one
// register stalls until the store has left the store buffer.
inline __m128 load_four(const void* from, size_t n) {
    if (n == kGroup) return _mm_loadu_ps(static_cast<const float*>(from));
    float values[kGroup] = {};
    memcpy(values, from, n * sizeof(float));
    return _mm_loadu_ps(values);
}

inline void store_four(float* to, __m128 v, size_t n) {
    if (n == kGroup) return _mm_storeu_ps(to, v);
    float values[kGroup];
    _mm_storeu_ps(values, v);
    memcpy(to, values, n * sizeof(float));
}

// Exactly y = acc * (scale * weight_scale), then the output quantiser; n weight rows are valid.
inline void store_outputs(const MatmulRowArgs& args, __m128 acc, size_t row, size_t column,
                          size_t n) {
    const __m128 weight_scale = load_four(args.weight_scale + column * sizeof(float), n);
    __m128 y = _mm_mul_ps(acc, _mm_mul_ps(_mm_set1_ps(args.x.scale[row]), weight_scale));
    if (args.output_scale > 0.0F) {
        const __m128 step = _mm_set1_ps(args.output_scale);
        y = _mm_round_ps(_mm_div_ps(y, step), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        y = _mm_min_ps(_mm_max_ps(y, _mm_set1_ps(-128.0F)), _mm_set1_ps(127.0F));
        y = _mm_mul_ps(y, step);
    }
    store_four(args.out + row * args.out_stride + column, y, n);
}

// fields carry code + zero: takes zero * sum(activations) away.
inline __m128i centre(__m128i acc, int32_t zero, int32_t sum) {
    const auto excess =
        static_cast<int32_t>(static_cast<uint32_t>(zero) * static_cast<uint32_t>(sum));
    return _mm_sub_epi32(acc, _mm_set1_epi32(excess));
}

template <int32_t kZero>
inline void finish_row(const MatmulRowArgs& args, __m128i acc, size_t row, size_t column,
                       size_t n) {
    acc = centre(acc, kZero, args.x.sums[row]);
    store_outputs(args, _mm_cvtepi32_ps(acc), row, column, n);
}

// Joins the three digits of a fixed-point row in double: exact, rounded once.
template <WeightType kType>
inline void finish_limbs(const MatmulRowArgs& args, const Sums& sums, size_t row, size_t column,
                         size_t n) {
    __m256d acc = _mm256_setzero_pd();
    for (size_t limb = kFixedPointLimbs; limb-- > 0;) {
        __m128i digit = reduce_group(sums.part[limb]);
        digit = centre(digit, Traits<kType>::kZero, args.x.sums[row * kFixedPointLimbs + limb]);
        acc = _mm256_add_pd(_mm256_mul_pd(acc, _mm256_set1_pd(256.0)), _mm256_cvtepi32_pd(digit));
    }
    store_outputs(args, _mm256_cvtpd_ps(acc), row, column, n);
}

// ---- Few rows ----

// Rows are short (768 bytes for 1536 int4 columns) and kGroup of them are read side by side, a
// pattern the hardware does not foresee. So the next groups are asked for here, line after line in
// the order of addresses (asking row by row, as they will be read, gave a third of the speed).
constexpr size_t kPrefetchBytes = 4096;

// Packed weight rows of a group.
struct Group {
    const uint8_t* rows[kGroup];
    size_t row_bytes;
    size_t ahead_bytes;  // distance of the prefetches, a whole number of groups
};

// Activations of up to kMaxMr rows (or limbs).
struct Rows {
    const int8_t* codes;
    size_t row_bytes;
    size_t stream_bytes;
    const int8_t* at(size_t row, size_t stream, size_t byte) const {
        return codes + row * row_bytes + stream * stream_bytes + byte;
    }
};

// Adds 32 weight bytes of kNr rows to the sums: 16-bit ones, for i8r 32-bit ones.
template <WeightType kType, size_t kMr, size_t kNr>
inline __attribute__((always_inline)) void add_chunk(const __m256i* raw, const Rows& x, size_t byte,
                                                     __m256i (&sums)[kMr][kNr]) {
    constexpr size_t kStreams = Traits<kType>::kStreams;
#pragma GCC unroll 8
    for (size_t r = 0; r < kNr; ++r) {
        if constexpr (kType == WeightType::i8r) {
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
        } else {
            __m256i fields[kStreams];
            unpack<kType>(raw[r], fields);
#pragma GCC unroll 8
            for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
                for (size_t s = 0; s < kStreams; ++s) {
                    const __m256i product = _mm256_maddubs_epi16(fields[s], load(x.at(i, s, byte)));
                    sums[i][r] = _mm256_add_epi16(sums[i][r], product);
                }
            }
        }
    }
}

template <WeightType kType, size_t kMr, size_t kNr>
inline __attribute__((always_inline)) void widen_sums(__m256i (&narrow)[kMr][kNr],
                                                      __m256i (&wide)[kMr][kNr]) {
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) {
            const __m256i sum = kType == WeightType::i8r ? narrow[i][r] : widen(narrow[i][r], 1);
            wide[i][r] = _mm256_add_epi32(wide[i][r], sum);
            narrow[i][r] = _mm256_setzero_si256();
        }
    }
}

// Multiplies kMr activation rows with weight rows first..first+kNr-1 of a group.
template <WeightType kType, size_t kMr, size_t kNr>
void dot_rows(const Group& weights, const Rows& x, size_t first, Sums& out) {
    __m256i narrow[kMr][kNr] = {};
    __m256i wide[kMr][kNr] = {};
    __m256i raw[kNr];
    const size_t full_bytes = weights.row_bytes / kChunk * kChunk;
    size_t byte = 0;
    while (byte < full_bytes) {
        const size_t limit = byte + Traits<kType>::kChunksInSum * kChunk;
        const size_t end = limit < full_bytes ? limit : full_bytes;
        for (; byte < end; byte += kChunk) {
            const auto* ahead = reinterpret_cast<const char*>(weights.rows[0] +
                                                              weights.ahead_bytes + byte * kGroup);
            _mm_prefetch(ahead, _MM_HINT_T0);
            _mm_prefetch(ahead + 64, _MM_HINT_T0);
#pragma GCC unroll 8
            for (size_t r = 0; r < kNr; ++r) raw[r] = load(weights.rows[first + r] + byte);
            add_chunk<kType>(raw, x, byte, narrow);
        }
        widen_sums<kType>(narrow, wide);
    }
    if (byte < weights.row_bytes) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) {
            raw[r] = load_part(weights.rows[first + r] + byte, weights.row_bytes - byte);
        }
        add_chunk<kType>(raw, x, byte, narrow);
        widen_sums<kType>(narrow, wide);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) out.part[i][first + r] = wide[i][r];
    }
}

template <WeightType kType, size_t kMr>
void dot_group(const Group& weights, const Rows& x, Sums& out) {
    if constexpr (kMr <= 2) {
        dot_rows<kType, kMr, 4>(weights, x, 0, out);
    } else {
        dot_rows<kType, kMr, 2>(weights, x, 0, out);
        dot_rows<kType, kMr, 2>(weights, x, 2, out);
    }
}

// Rows beyond the range stand for the last one: computed, never stored.
inline void point_group(const MatmulRowArgs& args, size_t column, Group& group) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kGroup; ++r) {
        const size_t n = column + r < args.n_end ? column + r : args.n_end - 1;
        group.rows[r] = args.weights + n * args.weight_stride_bytes;
    }
}

template <WeightType kType>
void run_few(const MatmulRowArgs& args) {
    constexpr size_t kStreams = Traits<kType>::kStreams;
    const size_t group_bytes = kGroup * args.weight_stride_bytes;
    Group weights = {};
    weights.row_bytes = (args.k + kStreams - 1) / kStreams;
    weights.ahead_bytes = (kPrefetchBytes + group_bytes - 1) / group_bytes * group_bytes;
    const size_t limb_bytes = kStreams * args.x.stream_bytes;
    const size_t n_rows = args.x.n_limbs == kFixedPointLimbs ? 1 : kMaxMr;
    Sums sums;
    for (size_t column = args.n_begin; column < args.n_end; column += kGroup) {
        const size_t left = args.n_end - column;
        const size_t n = left < kGroup ? left : kGroup;
        point_group(args, column, weights);
        for (size_t row = 0; row < args.m; row += n_rows) {
            const Rows x = {args.x.codes + row * args.x.n_limbs * limb_bytes, limb_bytes,
                            args.x.stream_bytes};
            if (args.x.n_limbs == kFixedPointLimbs) {
                dot_group<kType, kFixedPointLimbs>(weights, x, sums);
                finish_limbs<kType>(args, sums, row, column, n);
                continue;
            }
            const size_t m = args.m - row < kMaxMr ? args.m - row : kMaxMr;
            if (m == 1) dot_group<kType, 1>(weights, x, sums);
            if (m == 2) dot_group<kType, 2>(weights, x, sums);
            if (m == 3) dot_group<kType, 3>(weights, x, sums);
            if (m == 4) dot_group<kType, 4>(weights, x, sums);
            for (size_t i = 0; i < m; ++i) {
                finish_row<Traits<kType>::kZero>(args, reduce_group(sums.part[i]), row + i, column,
                                                 n);
            }
        }
    }
}

// ---- Many rows ----

template <WeightType kType>
struct Tile {
    static constexpr size_t kPlaneBytes = kTileFields / Traits<kType>::kPlanes;
    alignas(64) uint8_t fields[kTileRows][Traits<kType>::kPlanes][kPlaneBytes];
};

// Unpacks n_bytes weight bytes of n_rows rows; the planes are padded to whole chunks with zeros.
template <WeightType kType>
void unpack_tile(const MatmulRowArgs& args, size_t column, size_t n_rows, size_t byte,
                 size_t n_bytes, Tile<kType>& tile) {
    for (size_t r = 0; r < kTileRows; ++r) {
        // Rows that do not exist repeat the last one, so that blocks of four need no special case.
        const size_t n = column + (r < n_rows ? r : n_rows - 1);
        const uint8_t* from = args.weights + n * args.weight_stride_bytes + byte;
        for (size_t at = 0; at < n_bytes; at += kChunk) {
            const size_t left = n_bytes - at;
            __m256i fields[Traits<kType>::kPlanes];
            unpack<kType>(left >= kChunk ? load(from + at) : load_part(from + at, left), fields);
#pragma GCC unroll 8
            for (size_t p = 0; p < Traits<kType>::kPlanes; ++p) {
                _mm256_store_si256(reinterpret_cast<__m256i*>(&tile.fields[r][p][at]), fields[p]);
            }
        }
    }
}

// Adds bytes begin..end-1 of one plane to 16-bit sums.
template <size_t kMr>
inline __attribute__((always_inline)) void add_plane(const uint8_t* first, const uint8_t* second,
                                                     const int8_t* codes, size_t row_bytes,
                                                     size_t n_bytes, __m256i (&sums)[kMr][2]) {
#pragma GCC unroll 2
    for (size_t at = 0; at < n_bytes; at += kChunk) {
        const __m256i a = load(first + at);
        const __m256i b = load(second + at);
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
            __m256i x = load(codes + i * row_bytes + at);
            __asm__("" : "+x"(x));  // else it is loaded for each product; loads are the limit
            sums[i][0] = _mm256_add_epi16(sums[i][0], _mm256_maddubs_epi16(a, x));
            sums[i][1] = _mm256_add_epi16(sums[i][1], _mm256_maddubs_epi16(b, x));
        }
    }
}

template <size_t kMr>
inline __attribute__((always_inline)) void widen_pair(__m256i (&narrow)[kMr][2],
                                                      __m256i (&wide)[kMr][2], short worth) {
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t r = 0; r < 2; ++r) {
            wide[i][r] = _mm256_add_epi32(wide[i][r], widen(narrow[i][r], worth));
            narrow[i][r] = _mm256_setzero_si256();
        }
    }
}

// kMr activation rows times tile rows r and r + 1. Segments of 8 chunks keep 16-bit sums below
// 2^15: 8 nibble products, or 32 int2 products.
template <WeightType kType, size_t kMr>
void dot_tile(const Tile<kType>& tile, size_t r, const Rows& x, size_t byte, size_t n_bytes,
              size_t first, Sums& out) {
    constexpr size_t kSegment = 8 * kChunk;
    __m256i narrow[kMr][2] = {};
    __m256i wide[kMr][2] = {};
    for (size_t at = 0; at < n_bytes; at += kSegment) {
        const size_t n = n_bytes - at < kSegment ? n_bytes - at : kSegment;
#pragma GCC unroll 8
        for (size_t p = 0; p < Traits<kType>::kPlanes; ++p) {
            const size_t stream = kType == WeightType::i8r ? 0 : p;
            add_plane<kMr>(&tile.fields[r][p][at], &tile.fields[r + 1][p][at],
                           x.at(0, stream, byte + at), x.row_bytes, n, narrow);
            if (kType == WeightType::i2r) continue;
            widen_pair<kMr>(narrow, wide, kType == WeightType::i8r && p == 1 ? 16 : 1);
        }
        if (kType == WeightType::i2r) widen_pair<kMr>(narrow, wide, 1);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
        out.part[i][first] = wide[i][0];
        out.part[i][first + 1] = wide[i][1];
    }
}

// A block of k: where it lies, and whether sums must be taken up from, or left in, the output.
struct Block {
    size_t byte;
    size_t n_bytes;
    bool first;
    bool last;
};

template <WeightType kType>
inline void finish_block(const MatmulRowArgs& args, const Block& block, __m128i acc, size_t row,
                         size_t column, size_t n) {
    float* out = args.out + row * args.out_stride + column;
    if (!block.first) acc = _mm_add_epi32(acc, _mm_castps_si128(load_four(out, n)));
    if (block.last) {
        constexpr int32_t kZero = kType == WeightType::i8r ? 128 : Traits<kType>::kZero;
        finish_row<kZero>(args, acc, row, column, n);
        return;
    }
    store_four(out, _mm_castsi128_ps(acc), n);
}

// kMr activation rows from `row` on times the n_rows weight rows of the tile.
template <WeightType kType, size_t kMr>
void multiply_tile(const MatmulRowArgs& args, const Tile<kType>& tile, const Block& block,
                   size_t row, size_t column, size_t n_rows) {
    const size_t row_bytes = Traits<kType>::kStreams * args.x.stream_bytes;
    const Rows x = {args.x.codes + row * row_bytes, row_bytes, args.x.stream_bytes};
    Sums sums;
    for (size_t r = 0; r < n_rows; r += kGroup) {
        dot_tile<kType, kMr>(tile, r, x, block.byte, block.n_bytes, 0, sums);
        dot_tile<kType, kMr>(tile, r + 2, x, block.byte, block.n_bytes, 2, sums);
        const size_t n = n_rows - r < kGroup ? n_rows - r : kGroup;
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
            finish_block<kType>(args, block, reduce_group(sums.part[i]), row + i, column + r, n);
        }
    }
}

template <WeightType kType>
void run_many(const MatmulRowArgs& args) {
    constexpr size_t kBlockBytes = Tile<kType>::kPlaneBytes;
    const size_t weight_bytes = (args.k + Traits<kType>::kStreams - 1) / Traits<kType>::kStreams;
    Tile<kType> tile;
    for (size_t column = args.n_begin; column < args.n_end; column += kTileRows) {
        const size_t n_rows = args.n_end - column < kTileRows ? args.n_end - column : kTileRows;
        for (size_t byte = 0; byte < weight_bytes; byte += kBlockBytes) {
            const size_t left = weight_bytes - byte;
            const Block block = {byte, left < kBlockBytes ? left : kBlockBytes, byte == 0,
                                 left <= kBlockBytes};
            unpack_tile<kType>(args, column, n_rows, byte, block.n_bytes, tile);
            size_t row = 0;
            for (; row + 4 <= args.m; row += 4) {
                multiply_tile<kType, 4>(args, tile, block, row, column, n_rows);
            }
            if (args.m - row == 3) multiply_tile<kType, 3>(args, tile, block, row, column, n_rows);
            if (args.m - row == 2) multiply_tile<kType, 2>(args, tile, block, row, column, n_rows);
            if (args.m - row == 1) multiply_tile<kType, 1>(args, tile, block, row, column, n_rows);
        }
    }
}

template <WeightType kType>
void run_type(const MatmulRowArgs& args) {
    if (args.x.n_limbs == 1 && args.m >= kTileMinRows) {
        run_many<kType>(args);
    } else {
        run_few<kType>(args);
    }
}

void run(const MatmulRowArgs& args) {
    switch (args.type) {
        case WeightType::i2r:
            return run_type<WeightType::i2r>(args);
        case WeightType::i4r:
            return run_type<WeightType::i4r>(args);
        default:
            return run_type<WeightType::i8r>(args);
    }
}

}  // namespace

extern const MatmulRowVariant matmul_row_avx2;
const MatmulRowVariant matmul_row_avx2 = {"avx2", Isa::avx2, matmul_row_pack_avx2, run};

}  // namespace gemlet

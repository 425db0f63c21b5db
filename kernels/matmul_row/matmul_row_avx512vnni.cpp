// AVX-512 with VNNI: vpdpbusd multiplies unsigned weight fields with signed activations and adds
// four products to a 32-bit lane without saturation, so fields go in as they are; int8 weights
// become code + 128 by flipping their top bit, and the excess leaves with the other zero points.
//
// Few rows: kGroup weight rows are unpacked in registers, each field vector serves all (1..4)
// activation rows, or the three limbs of one. One activation row has a chain of sums per stream,
// because a single chain would wait for the latency of vpdpbusd (4-5 cycles).
// Many rows: kTileRows weight rows are unpacked, 2048 fields each, into a tile of 16 KiB that stays
// in L1 while all activation rows stream by from L2; between such blocks of k the integer sums rest
// in the output itself. Register block 6 x 4: 24 sums, 4 fields, 1 activation; 10 loads for 24
// vpdpbusd (1536 multiply-adds). Not measured on a CPU with AVX-512 yet.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {

void matmul_row_pack_avx2(const PackRowArgs& args);

namespace {

constexpr size_t kChunk = 64;  // bytes of a register
constexpr size_t kGroup = 4;   // weight rows whose sums are reduced together
constexpr size_t kFewRows = 4;
constexpr size_t kMaxMr = 6;
constexpr size_t kTileRows = 8;
constexpr size_t kTileFields = 2048;
// Fewer activation rows are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 8;

// Streams of a type, which are the fields of a weight byte, and the zero point of its fields.
template <WeightType kType>
struct Traits;
template <>
struct Traits<WeightType::i2r> {
    static constexpr size_t kStreams = 4;
    static constexpr int32_t kZero = 2;
};
template <>
struct Traits<WeightType::i4r> {
    static constexpr size_t kStreams = 2;
    static constexpr int32_t kZero = 8;
};
template <>
struct Traits<WeightType::i8r> {
    static constexpr size_t kStreams = 1;
    static constexpr int32_t kZero = 128;
};

// Loads up to a register of bytes; those beyond n are zero and not read.
inline __m512i load_part(const uint8_t* p, size_t n) {
    const __mmask64 mask = n >= kChunk ? ~0ULL : (1ULL << n) - 1;
    return _mm512_maskz_loadu_epi8(mask, p);
}

template <WeightType kType>
inline void unpack(__m512i raw, __m512i* fields) {
    if constexpr (kType == WeightType::i2r) {
        const __m512i mask = _mm512_set1_epi8(3);
        fields[0] = _mm512_and_si512(raw, mask);
        fields[1] = _mm512_and_si512(_mm512_srli_epi16(raw, 2), mask);
        fields[2] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), mask);
        fields[3] = _mm512_and_si512(_mm512_srli_epi16(raw, 6), mask);
    } else if constexpr (kType == WeightType::i4r) {
        const __m512i mask = _mm512_set1_epi8(15);
        fields[0] = _mm512_and_si512(raw, mask);
        fields[1] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), mask);
    } else {
        fields[0] = _mm512_xor_si512(raw, _mm512_set1_epi8(-128));
    }
}

// ---- The end of every sum ----

struct Sums {
    __m512i part[kMaxMr][kGroup];  // [activation row, weight row], 16 lanes still to be added
};

// Halves meet in memory: g++ 12 warns of uninitialized registers inside its own extract functions.
inline __m256i fold(const __m512i& v) {
    const auto* halves = reinterpret_cast<const __m256i*>(&v);
    return _mm256_add_epi32(_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1));
}

inline __m128i reduce_group(const __m512i* part) {
    const __m256i low = _mm256_hadd_epi32(fold(part[0]), fold(part[1]));
    const __m256i high = _mm256_hadd_epi32(fold(part[2]), fold(part[3]));
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

template <WeightType kType>
inline void finish_row(const MatmulRowArgs& args, __m128i acc, size_t row, size_t column,
                       size_t n) {
    acc = centre(acc, Traits<kType>::kZero, args.x.sums[row]);
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

// Activations of some rows (or limbs).
struct Rows {
    const int8_t* codes;
    size_t row_bytes;
    size_t stream_bytes;
    const int8_t* at(size_t row, size_t stream, size_t byte) const {
        return codes + row * row_bytes + stream * stream_bytes + byte;
    }
};

// Adds 64 weight bytes of each row of a group to the sums.
template <WeightType kType, size_t kMr, size_t kChains>
inline __attribute__((always_inline)) void add_chunk(const __m512i* raw, const Rows& x, size_t byte,
                                                     __m512i (&sums)[kMr][kGroup][kChains]) {
    constexpr size_t kStreams = Traits<kType>::kStreams;
#pragma GCC unroll 8
    for (size_t r = 0; r < kGroup; ++r) {
        __m512i fields[kStreams];
        unpack<kType>(raw[r], fields);
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
            for (size_t s = 0; s < kStreams; ++s) {
                __m512i& sum = sums[i][r][s % kChains];
                sum = _mm512_dpbusd_epi32(sum, fields[s], _mm512_loadu_si512(x.at(i, s, byte)));
            }
        }
    }
}

// Multiplies kMr activation rows with a group of weight rows.
template <WeightType kType, size_t kMr>
void dot_group(const Group& weights, const Rows& x, Sums& out) {
    constexpr size_t kChains = kMr == 1 ? Traits<kType>::kStreams : 1;
    __m512i sums[kMr][kGroup][kChains];
#pragma GCC unroll 8
    for (auto& row : sums) {
#pragma GCC unroll 8
        for (auto& chains : row) {
#pragma GCC unroll 8
            for (__m512i& sum : chains) sum = _mm512_setzero_si512();
        }
    }
    __m512i raw[kGroup];
    size_t byte = 0;
    for (; byte + kChunk <= weights.row_bytes; byte += kChunk) {
        const auto* ahead =
            reinterpret_cast<const char*>(weights.rows[0] + weights.ahead_bytes + byte * kGroup);
#pragma GCC unroll 8
        for (size_t r = 0; r < kGroup; ++r) {
            _mm_prefetch(ahead + r * kChunk, _MM_HINT_T0);
            raw[r] = _mm512_loadu_si512(weights.rows[r] + byte);
        }
        add_chunk<kType>(raw, x, byte, sums);
    }
    if (byte < weights.row_bytes) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kGroup; ++r) {
            raw[r] = load_part(weights.rows[r] + byte, weights.row_bytes - byte);
        }
        add_chunk<kType>(raw, x, byte, sums);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kGroup; ++r) {
            __m512i sum = sums[i][r][0];
#pragma GCC unroll 8
            for (size_t c = 1; c < kChains; ++c) sum = _mm512_add_epi32(sum, sums[i][r][c]);
            out.part[i][r] = sum;
        }
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
    const size_t n_rows = args.x.n_limbs == kFixedPointLimbs ? 1 : kFewRows;
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
            const size_t m = args.m - row < kFewRows ? args.m - row : kFewRows;
            if (m == 1) dot_group<kType, 1>(weights, x, sums);
            if (m == 2) dot_group<kType, 2>(weights, x, sums);
            if (m == 3) dot_group<kType, 3>(weights, x, sums);
            if (m == 4) dot_group<kType, 4>(weights, x, sums);
            for (size_t i = 0; i < m; ++i) {
                finish_row<kType>(args, reduce_group(sums.part[i]), row + i, column, n);
            }
        }
    }
}

// ---- Many rows ----

template <WeightType kType>
struct Tile {
    static constexpr size_t kPlaneBytes = kTileFields / Traits<kType>::kStreams;
    alignas(64) uint8_t fields[kTileRows][Traits<kType>::kStreams][kPlaneBytes];
};

// Unpacks n_bytes weight bytes of n_rows rows; the planes are padded to whole chunks with fields
// that meet activations of zero.
template <WeightType kType>
void unpack_tile(const MatmulRowArgs& args, size_t column, size_t n_rows, size_t byte,
                 size_t n_bytes, Tile<kType>& tile) {
    for (size_t r = 0; r < kTileRows; ++r) {
        // Rows that do not exist repeat the last one, so that groups of four need no special case.
        const size_t n = column + (r < n_rows ? r : n_rows - 1);
        const uint8_t* from = args.weights + n * args.weight_stride_bytes + byte;
        for (size_t at = 0; at < n_bytes; at += kChunk) {
            __m512i fields[Traits<kType>::kStreams];
            unpack<kType>(load_part(from + at, n_bytes - at), fields);
#pragma GCC unroll 8
            for (size_t s = 0; s < Traits<kType>::kStreams; ++s) {
                _mm512_store_si512(&tile.fields[r][s][at], fields[s]);
            }
        }
    }
}

// kMr activation rows times the group of tile rows that starts at r.
template <WeightType kType, size_t kMr>
void dot_tile(const Tile<kType>& tile, size_t r, const Rows& x, size_t byte, size_t n_bytes,
              Sums& out) {
    __m512i sums[kMr][kGroup];
#pragma GCC unroll 8
    for (auto& row : sums) {
#pragma GCC unroll 8
        for (__m512i& sum : row) sum = _mm512_setzero_si512();
    }
#pragma GCC unroll 8
    for (size_t s = 0; s < Traits<kType>::kStreams; ++s) {
        const int8_t* codes = x.at(0, s, byte);
        for (size_t at = 0; at < n_bytes; at += kChunk) {
            __m512i fields[kGroup];
#pragma GCC unroll 8
            for (size_t j = 0; j < kGroup; ++j) {
                fields[j] = _mm512_load_si512(&tile.fields[r + j][s][at]);
            }
#pragma GCC unroll 8
            for (size_t i = 0; i < kMr; ++i) {
                const __m512i v = _mm512_loadu_si512(codes + i * x.row_bytes + at);
#pragma GCC unroll 8
                for (size_t j = 0; j < kGroup; ++j) {
                    sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], fields[j], v);
                }
            }
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t j = 0; j < kGroup; ++j) out.part[i][j] = sums[i][j];
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
        finish_row<kType>(args, acc, row, column, n);
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
        dot_tile<kType, kMr>(tile, r, x, block.byte, block.n_bytes, sums);
        const size_t n = n_rows - r < kGroup ? n_rows - r : kGroup;
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
            finish_block<kType>(args, block, reduce_group(sums.part[i]), row + i, column + r, n);
        }
    }
}

template <WeightType kType>
void multiply_rest(const MatmulRowArgs& args, const Tile<kType>& tile, const Block& block,
                   size_t row, size_t column, size_t n_rows) {
    switch (args.m - row) {
        case 1:
            return multiply_tile<kType, 1>(args, tile, block, row, column, n_rows);
        case 2:
            return multiply_tile<kType, 2>(args, tile, block, row, column, n_rows);
        case 3:
            return multiply_tile<kType, 3>(args, tile, block, row, column, n_rows);
        case 4:
            return multiply_tile<kType, 4>(args, tile, block, row, column, n_rows);
        case 5:
            return multiply_tile<kType, 5>(args, tile, block, row, column, n_rows);
        default:
            return;
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
            for (; row + kMaxMr <= args.m; row += kMaxMr) {
                multiply_tile<kType, kMaxMr>(args, tile, block, row, column, n_rows);
            }
            multiply_rest<kType>(args, tile, block, row, column, n_rows);
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

extern const MatmulRowVariant matmul_row_avx512vnni;
const MatmulRowVariant matmul_row_avx512vnni = {"avx512vnni", Isa::avx512vnni, matmul_row_pack_avx2,
                                                run};

}  // namespace gemlet

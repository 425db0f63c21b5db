// AVX-512 with VNNI: vpdpbusd multiplies unsigned weight fields with signed activations and adds
// four products to a 32-bit lane without saturation, so fields go in as they are; int8 weights
// become code + 128 by flipping their top bit, and the excess leaves with the other zero points.
//
// Few rows: row_few_avx512.h. Many rows: row_tile_avx512.h with a register block of 8 rows x 3
// registers: 24 sums, 3 fields, 1 activation; 11 loads for 24 vpdpbusd (1536 multiply-adds).
//
// Predicted, not measured: llvm-mca puts the inner loop at 12.1 cycles for its 24 vpdpbusd on two
// ports (99 % of the peak; Ice Lake and Sapphire Rapids models). Around it, per 256 rows and 768
// fields: sums to and from memory 2 % (int4) to 4 % (int2), unpacking 1.5 %, and for k = 1536 the
// divisions of the output quantiser 4 %: about 88 % for k = 1536, 92 % for k = 6144 and 12288.
#include "kernels/matmul_row/row_few_avx512.h"
#include "kernels/matmul_row/row_types.h"

namespace gemlet {

void matmul_row_pack_avx2(const PackRowArgs& args);

namespace {

// Fewer activation rows are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 12;
constexpr size_t kMaxVectors = 3;
constexpr size_t kTileColumns = kMaxVectors * kLanes;

inline __m512i broadcast_quad(const int8_t* codes) {
    int32_t quad = 0;
    memcpy(&quad, codes, sizeof(quad));
    return _mm512_set1_epi32(quad);
}

// kMr activation rows times kNv registers of one plane of a tile. The next block's activations are
// asked for meanwhile, a line of one row at each step: rows lie apart, no prefetcher foresees them.
template <size_t kMr, size_t kNv>
__attribute__((noinline)) void multiply_plane(const uint8_t* fields, const int8_t* codes,
                                              size_t row_bytes, size_t n_quads,
                                              int32_t (*sums)[kTileColumns]) {
    __m512i acc[kMr][kNv];
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t v = 0; v < kNv; ++v) acc[i][v] = _mm512_load_si512(sums[i] + v * kLanes);
    }
    for (size_t q = 0; q < n_quads; ++q) {
        const int8_t* next = codes + (kMr + q % kMr) * row_bytes;
        _mm_prefetch(reinterpret_cast<const char*>(next), _MM_HINT_T0);
        __m512i field[kNv];
#pragma GCC unroll 8
        for (size_t v = 0; v < kNv; ++v) field[v] = _mm512_load_si512(fields + v * 64);
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
            const __m512i code = broadcast_quad(codes + i * row_bytes);
#pragma GCC unroll 8
            for (size_t v = 0; v < kNv; ++v) {
                acc[i][v] = _mm512_dpbusd_epi32(acc[i][v], field[v], code);
            }
        }
        codes += kQuad;
        fields += kTileColumns * kQuad;
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t v = 0; v < kNv; ++v) _mm512_store_si512(sums[i] + v * kLanes, acc[i][v]);
    }
}

template <size_t kMr, size_t kNv, size_t kPlanes, class TileType>
inline void multiply_block(const TileType& tile, const TileInput& x, size_t n_quads,
                           int32_t (*sums)[kTileColumns]) {
    for (size_t p = 0; p < kPlanes; ++p) {
        multiply_plane<kMr, kNv>(tile.fields[p][0], x.codes + p * x.stream_bytes, x.row_bytes,
                                 n_quads, sums);
    }
}

template <WeightType kWeightType>
struct Scheme {
    static constexpr WeightType kType = kWeightType;
    static constexpr size_t kColumns = kTileColumns;
    static constexpr size_t kFields = 768;
    static constexpr size_t kPlanes = Traits<kType>::kStreams;
    using TileType = Tile<kColumns, kFields, kPlanes>;

    template <size_t kNv>
    static void multiply_vectors(const TileType& tile, TileInput x, size_t n_rows, size_t n_quads,
                                 int32_t (*sums)[kColumns]) {
        for (; n_rows >= 8; n_rows -= 8, sums += 8, x.codes += 8 * x.row_bytes) {
            multiply_block<8, kNv, kPlanes>(tile, x, n_quads, sums);
        }
        for (; n_rows >= 4; n_rows -= 4, sums += 4, x.codes += 4 * x.row_bytes) {
            multiply_block<4, kNv, kPlanes>(tile, x, n_quads, sums);
        }
        for (; n_rows > 0; --n_rows, ++sums, x.codes += x.row_bytes) {
            multiply_block<1, kNv, kPlanes>(tile, x, n_quads, sums);
        }
    }

    static void multiply_rows(const TileType& tile, const TileInput& x, size_t n_rows,
                              size_t n_columns, size_t n_bytes, int32_t (*sums)[kColumns]) {
        const size_t n_quads = (n_bytes + kQuad - 1) / kQuad;
        if (n_columns > 2 * kLanes) return multiply_vectors<3>(tile, x, n_rows, n_quads, sums);
        if (n_columns > kLanes) return multiply_vectors<2>(tile, x, n_rows, n_quads, sums);
        multiply_vectors<1>(tile, x, n_rows, n_quads, sums);
    }
};

void run(const MatmulRowArgs& args) {
    for_row_type(args.type, [&]<WeightType kType>() {
        if (args.x.n_limbs == 1 && args.m >= kTileMinRows) {
            run_many<Scheme<kType>>(args);
        } else {
            run_few<kType>(args);
        }
    });
}

}  // namespace

extern const MatmulRowVariant matmul_row_avx512vnni;
const MatmulRowVariant matmul_row_avx512vnni = {"avx512vnni", Isa::avx512vnni, matmul_row_pack_avx2,
                                                run};

}  // namespace gemlet

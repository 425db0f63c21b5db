// AMX int8: tdpbsud multiplies 16 activation rows of 64 signed bytes with 16 weight rows of 64
// unsigned fields, 16,384 multiply-adds in 16 cycles. Activations are read as they lie (a tile row
// is 64 bytes of a stream of one row); a register of row_tile_avx512.h is a row of the other tile.
//
// Few rows: row_few_avx512.h, with VNNI. Many rows: 32 activation rows x 32 weight rows, 4 sums in
// tiles 0..3, activations in 4 and 5, fields in 6 and 7: 4 tile loads for 4 products, so 32 cycles
// of loads for 64 of products. Sums are taken up and left once per 1024 fields: 9 % of the time.
// Predicted, not measured: 75-80 % of the peak while the activations come from L2.
#include "kernels/matmul_row/row_few_avx512.h"
#include "kernels/matmul_row/row_types.h"

namespace gemlet {

void matmul_row_pack_avx2(const PackRowArgs& args);

namespace {

// Fewer activation rows are multiplied straight from the packed weights.
constexpr size_t kTileMinRows = 16;
constexpr size_t kAmxRows = 16;
constexpr size_t kAmxBytes = 64;  // of a tile row
constexpr size_t kTileColumns = 2 * kLanes;

// What ldtilecfg reads.
struct TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// The compiler's tile loads do not say that they read memory.
inline void finish_stores() { __asm__ __volatile__("" ::: "memory"); }

// Eight full tiles, but for sums and activations of only n_rows rows.
void configure(size_t n_rows) {
    alignas(64) TileConfig config;
    for (size_t i = 0; i < 8; ++i) {
        config.row_bytes[i] = kAmxBytes;
        config.rows[i] = static_cast<uint8_t>(i < 6 ? n_rows : kAmxRows);
    }
    finish_stores();
    _tile_loadconfig(&config);
}

// A plane of the tile, activations that meet it, and how many 64-byte steps it has.
struct Plane {
    const uint8_t* fields;
    const int8_t* codes;
    size_t row_bytes;
    size_t n_steps;
};

constexpr size_t kSumBytes = kTileColumns * sizeof(int32_t);
constexpr size_t kQuadBytes = kTileColumns * kQuad;
constexpr size_t kStepQuads = kAmxBytes / kQuad;

// As many rows as configured (at most 16) times 32 columns.
void multiply_sixteen(const Plane& plane, int32_t* sums) {
    const uint8_t* fields = plane.fields;
    const int8_t* codes = plane.codes;
    _tile_loadd(0, sums, kSumBytes);
    _tile_loadd(1, sums + kLanes, kSumBytes);
    for (size_t step = 0; step < plane.n_steps; ++step) {
        _tile_loadd(4, codes, plane.row_bytes);
        _tile_loadd(6, fields, kQuadBytes);
        _tile_loadd(7, fields + 64, kQuadBytes);
        _tile_dpbsud(0, 4, 6);
        _tile_dpbsud(1, 4, 7);
        codes += kAmxBytes;
        fields += kStepQuads * kQuadBytes;
    }
    _tile_stored(0, sums, kSumBytes);
    _tile_stored(1, sums + kLanes, kSumBytes);
}

// 32 rows times 32 columns.
void multiply_thirty_two(const Plane& plane, int32_t* sums) {
    const uint8_t* fields = plane.fields;
    const int8_t* codes = plane.codes;
    int32_t* lower = sums + kAmxRows * kTileColumns;
    _tile_loadd(0, sums, kSumBytes);
    _tile_loadd(1, sums + kLanes, kSumBytes);
    _tile_loadd(2, lower, kSumBytes);
    _tile_loadd(3, lower + kLanes, kSumBytes);
    for (size_t step = 0; step < plane.n_steps; ++step) {
        _tile_loadd(4, codes, plane.row_bytes);
        _tile_loadd(6, fields, kQuadBytes);
        _tile_dpbsud(0, 4, 6);
        _tile_loadd(7, fields + 64, kQuadBytes);
        _tile_dpbsud(1, 4, 7);
        _tile_loadd(5, codes + kAmxRows * plane.row_bytes, plane.row_bytes);
        _tile_dpbsud(2, 5, 6);
        _tile_dpbsud(3, 5, 7);
        codes += kAmxBytes;
        fields += kStepQuads * kQuadBytes;
    }
    _tile_stored(0, sums, kSumBytes);
    _tile_stored(1, sums + kLanes, kSumBytes);
    _tile_stored(2, lower, kSumBytes);
    _tile_stored(3, lower + kLanes, kSumBytes);
}

template <WeightType kWeightType>
struct Scheme {
    static constexpr WeightType kType = kWeightType;
    static constexpr size_t kColumns = kTileColumns;
    static constexpr size_t kFields = 1024;
    static constexpr size_t kPlanes = Traits<kType>::kStreams;

    // Streams are padded with zeros to whole steps, so fields beyond n_bytes do not matter.
    static void multiply_rows(const Tile<kColumns, kFields, kPlanes>& tile, const TileInput& x,
                              size_t n_rows, size_t /*n_columns*/, size_t n_bytes,
                              int32_t (*sums)[kColumns]) {
        const size_t n_steps = (n_bytes + kAmxBytes - 1) / kAmxBytes;
        const size_t whole = n_rows / kAmxRows * kAmxRows;
        configure(kAmxRows);
        for (size_t row = 0; row < whole;) {
            const size_t n = whole - row >= 2 * kAmxRows ? 2 * kAmxRows : kAmxRows;
            for (size_t p = 0; p < kPlanes; ++p) {
                const Plane plane = {tile.fields[p][0],
                                     x.codes + row * x.row_bytes + p * x.stream_bytes, x.row_bytes,
                                     n_steps};
                if (n == kAmxRows) {
                    multiply_sixteen(plane, sums[row]);
                } else {
                    multiply_thirty_two(plane, sums[row]);
                }
            }
            row += n;
        }
        if (whole == n_rows) return;
        configure(n_rows - whole);
        for (size_t p = 0; p < kPlanes; ++p) {
            multiply_sixteen({tile.fields[p][0], x.codes + whole * x.row_bytes + p * x.stream_bytes,
                              x.row_bytes, n_steps},
                             sums[whole]);
        }
    }
};

void run(const MatmulRowArgs& args) {
    for_row_type(args.type, [&]<WeightType kType>() {
        if (args.x.n_limbs == 1 && args.m >= kTileMinRows) {
            run_many<Scheme<kType>>(args);
            _tile_release();
        } else {
            run_few<kType>(args);
        }
    });
}

}  // namespace

extern const MatmulRowVariant matmul_row_amx;
const MatmulRowVariant matmul_row_amx = {"amx", Isa::amx, matmul_row_pack_avx2, run};

}  // namespace gemlet

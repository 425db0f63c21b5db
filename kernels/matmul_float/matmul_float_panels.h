// The float matrix product of many rows, written once for all instruction sets. Included after
// matmul_float_tiles.h and kernels/vector/lane_order.h; everything has internal linkage.
//
// A tile of outputs is kept in registers, columns side by side in a register, and every step adds
// one broadcast input times a register of weights, as BLAS does it: 8 loads for 12 multiply-adds
// with AVX2 (6 x 16 outputs), 14 for 24 with AVX-512 (12 x 32), 10 for 16 with NEON (8 x 8; 12 x 8
// leaves g++ 12 no register for the inputs). The canonical sums have 16 lanes per output, lane = k
// mod 16; so the tile takes the lanes one after the other and joins finished ones like a binary
// counter, in the order of the tree: lanes 0, 8, 4, 12, 2, 10 .. Both operands are packed lane by
// lane (packed_sizes.h), weights widened to floats on the way. Joining costs 12 additions and
// stores per lane, a few per cent at k = 768, and bits do not differ from `run`.
//
// Blocks: as many lanes of a panel of weights as fit half of the first-level cache are used by all
// tiles of a block of inputs, which stays in the second-level cache.
//
// Measured with AVX2 against OpenBLAS 0.3.21 in turns, one thread of a busy Zen 4 (EPYC) machine,
// packing included: bf16 weights 81 to 93 % of its sgemm at the shapes of bench/shapes/vision.txt,
// f32 81 to 93 %. Tried in vain: twice and half of kFirstLevelFloats, half of kSecondLevelFloats.
#pragma once

#include "kernels/matmul_float/packed_sizes.h"

namespace gemlet {
namespace {

constexpr size_t kPanelRows = kParts == 1 ? 12 : kParts == 2 ? 6 : 8;
constexpr size_t kPanelColumns = 2 * kPartLanes;
constexpr size_t kTileFloats = kPanelRows * kPanelColumns;
constexpr size_t kFirstLevelFloats = size_t{4} * 1024;
constexpr size_t kSecondLevelFloats = size_t{96} * 1024;

template <WeightType kType>
inline Eight load_eight(const uint8_t* row, size_t at) {
    if constexpr (kType == WeightType::f32) {
        return eight_load(reinterpret_cast<const float*>(row) + at);
    } else if constexpr (kType == WeightType::f16) {
        return eight_load_f16(row + 2 * at);
    } else {
        return eight_load_bf16(row + 2 * at);
    }
}

// The elements at .. at + 7 of a row of k, zeros behind its end.
template <WeightType kType>
inline Eight load_eight_of(const uint8_t* row, size_t at, size_t k) {
    constexpr size_t kBytes = kType == WeightType::f32 ? 4 : 2;
    if (at + 8 <= k) return load_eight<kType>(row, at);
    uint8_t bytes[8 * kBytes] = {};
    if (at < k) memcpy(bytes, row + at * kBytes, (k - at) * kBytes);
    return load_eight<kType>(bytes, 0);
}

// Packs eight rows as rows first .. first + 7 of an operand with n_rows rows. Steps go upwards, so
// that what a store writes beyond its rows is overwritten by the next.
template <WeightType kType>
void pack_eight(const uint8_t* const* rows, size_t k, size_t n_rows, float* out, Eight low,
                Eight high) {
    const size_t stride = packed_lane_floats(k, n_rows);
    for (size_t step = 0; step < packed_steps(k); ++step) {
        for (size_t half = 0; half < kPackedLanes; half += 8) {
            Eight r[8];
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; ++i) {
                const Eight v = load_eight_of<kType>(rows[i], step * kPackedLanes + half, k);
                r[i] = eight_clamp(v, low, high);
            }
            transpose_eight(r);
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; ++i) {
                eight_store(out + place_of_lane(half + i) * stride + step * n_rows, r[i]);
            }
        }
    }
}

void pack_inputs(const PackFloatArgs& args) {
    const size_t tile_floats = kPackedLanes * packed_lane_floats(args.k, kPanelRows);
    const Eight low = eight_set(args.low);
    const Eight high = eight_set(args.high);
    for (size_t m = 0; m < args.m; m += kPanelRows) {
        float* out = args.out + m / kPanelRows * tile_floats;
        // The last eight first: what they write beyond their rows belongs to those before them.
        for (size_t eight = (kPanelRows + 7) / 8; eight > 0; --eight) {
            const size_t first = (eight - 1) * 8;
            const uint8_t* rows[8];
            for (size_t i = 0; i < 8; ++i) {
                // Rows that are not there repeat the last one; nobody reads their results.
                const size_t row = m + first + i < args.m ? m + first + i : args.m - 1;
                rows[i] = reinterpret_cast<const uint8_t*>(args.x + row * args.x_stride);
            }
            pack_eight<WeightType::f32>(rows, args.k, kPanelRows, out + first, low, high);
        }
    }
}

// Packs the weight rows n .. n + kPanelColumns - 1; those behind n_end repeat the last.
void pack_panel(const PackedFloatArgs& args, size_t n, float* out, float* dequantised) {
    const Eight none = eight_set(INFINITY);
    const Eight all = eight_set(-INFINITY);
    for (size_t first = 0; first < kPanelColumns; first += 8) {
        const uint8_t* rows[8];
        for (size_t i = 0; i < 8; ++i) {
            const size_t row = n + first + i < args.n_end ? n + first + i : args.n_end - 1;
            rows[i] = args.weights + row * args.weight_stride_bytes;
        }
        switch (args.type) {
            case WeightType::f32:
                pack_eight<WeightType::f32>(rows, args.k, kPanelColumns, out + first, all, none);
                break;
            case WeightType::f16:
                pack_eight<WeightType::f16>(rows, args.k, kPanelColumns, out + first, all, none);
                break;
            case WeightType::bf16:
                pack_eight<WeightType::bf16>(rows, args.k, kPanelColumns, out + first, all, none);
                break;
            default:
                for (size_t i = 0; i < 8; ++i) {
                    float* row = dequantised + i * args.k;
                    dequantize_row(args.type, rows[i], args.k, row);
                    rows[i] = reinterpret_cast<const uint8_t*>(row);
                }
                pack_eight<WeightType::f32>(rows, args.k, kPanelColumns, out + first, all, none);
        }
    }
}

// One lane of a tile: sums[row][part] of n_steps products each.
inline void add_lane(const float* x, const float* w, size_t n_steps, Part (&sums)[kPanelRows][2]) {
    Part sum[kPanelRows][2];
#pragma GCC unroll 12
    for (size_t row = 0; row < kPanelRows; ++row) sum[row][0] = sum[row][1] = part_zero();
    for (size_t step = 0; step < n_steps; ++step) {
        const Part w0 = part_load(w);
        const Part w1 = part_load(w + kPartLanes);
#pragma GCC unroll 12
        for (size_t row = 0; row < kPanelRows; ++row) {
            const Part in = part_set(x[row]);
            sum[row][0] = part_fma(in, w0, sum[row][0]);
            sum[row][1] = part_fma(in, w1, sum[row][1]);
        }
        x += kPanelRows;
        w += kPanelColumns;
    }
#pragma GCC unroll 12
    for (size_t row = 0; row < kPanelRows; ++row) {
        sums[row][0] = sum[row][0];
        sums[row][1] = sum[row][1];
    }
}

// A tile of outputs and where its finished sums wait for their partners.
struct TilePlace {
    float* shared;  // [levels below those of a tile][kTileFloats], used within a run of lanes
    float* own;     // [kTreeLevels][kTileFloats]
    size_t n_shared;
    float* level(size_t i) const { return (i < n_shared ? shared : own) + i * kTileFloats; }
};

void write_tile(const PackedFloatArgs& args, const Part (&sums)[kPanelRows][2], size_t m,
                size_t n) {
    const Part low = part_set(args.low);
    const Part high = part_set(args.high);
    const size_t n_rows = args.m - m < kPanelRows ? args.m - m : kPanelRows;
    const size_t left = args.n_end - n;
    const size_t n_bytes = (left < kPanelColumns ? left : kPanelColumns) * sizeof(float);
    for (size_t row = 0; row < n_rows; ++row) {
        float columns[kPanelColumns];
        for (size_t part = 0; part < 2; ++part) {
            part_store(columns + part * kPartLanes, part_min(part_max(sums[row][part], low), high));
        }
        memcpy(args.out + (m + row) * args.out_stride + n, columns, n_bytes);
    }
}

// The lanes at places begin .. end - 1 of the tile at (m, n); behind the last one, writes it.
void run_lanes(const PackedFloatArgs& args, const float* panel, size_t begin, size_t end,
               const TilePlace& place, size_t m, size_t n) {
    const size_t x_stride = packed_lane_floats(args.k, kPanelRows);
    const size_t w_stride = packed_lane_floats(args.k, kPanelColumns);
    const float* tile = args.x + m / kPanelRows * kPackedLanes * x_stride;
    for (size_t lane = begin; lane < end; ++lane) {
        Part sums[kPanelRows][2];
        add_lane(tile + lane * x_stride, panel + lane * w_stride, packed_steps(args.k), sums);
        size_t level = 0;
        for (; (lane >> level & 1) != 0; ++level) {
            const float* waiting = place.level(level);
#pragma GCC unroll 12
            for (size_t row = 0; row < kPanelRows; ++row) {
                const float* from = waiting + row * kPanelColumns;
                sums[row][0] = part_add(part_load(from), sums[row][0]);
                sums[row][1] = part_add(part_load(from + kPartLanes), sums[row][1]);
            }
        }
        if (level == kTreeLevels) return write_tile(args, sums, m, n);
        float* to = place.level(level);
#pragma GCC unroll 12
        for (size_t row = 0; row < kPanelRows; ++row) {
            part_store(to + row * kPanelColumns, sums[row][0]);
            part_store(to + row * kPanelColumns + kPartLanes, sums[row][1]);
        }
    }
}

// Levels of the tree within the lanes that are used before the next tile follows: 2^levels lanes of
// a panel fit half of the first-level cache.
size_t levels_at_once(size_t k) {
    size_t levels = kTreeLevels;
    while (levels > 0 && (packed_lane_floats(k, kPanelColumns) << levels) > kFirstLevelFloats) {
        --levels;
    }
    return levels;
}

size_t tiles_at_once(size_t k) {
    const size_t tiles = kSecondLevelFloats / (kPackedLanes * packed_lane_floats(k, kPanelRows));
    return tiles < 1 ? 1 : tiles < kMaxTilesAtOnce ? tiles : kMaxTilesAtOnce;
}

void run_packed(const PackedFloatArgs& args) {
    const uintptr_t address = (reinterpret_cast<uintptr_t>(args.scratch) + 63) / 64 * 64;
    auto* const shared = reinterpret_cast<float*>(address);
    float* const own = shared + kTreeLevels * kTileFloats;
    float* const panels = own + kMaxTilesAtOnce * kTreeLevels * kTileFloats;
    const size_t columns = columns_at_once(args.k, kPanelColumns);
    const size_t panel_floats = kPackedLanes * packed_lane_floats(args.k, kPanelColumns);
    float* const dequantised = panels + columns / kPanelColumns * panel_floats;
    const size_t n_levels = levels_at_once(args.k);
    const size_t n_lanes = size_t{1} << n_levels;
    const size_t block_rows = tiles_at_once(args.k) * kPanelRows;
    for (size_t first = args.n_begin; first < args.n_end; first += columns) {
        const size_t end = args.n_end - first < columns ? args.n_end : first + columns;
        for (size_t n = first; n < end; n += kPanelColumns) {
            pack_panel(args, n, panels + (n - first) / kPanelColumns * panel_floats, dequantised);
        }
        for (size_t block = 0; block < args.m; block += block_rows) {
            const size_t block_end = args.m - block < block_rows ? args.m : block + block_rows;
            for (size_t n = first; n < end; n += kPanelColumns) {
                const float* panel = panels + (n - first) / kPanelColumns * panel_floats;
                for (size_t lane = 0; lane < kPackedLanes; lane += n_lanes) {
                    TilePlace place{shared, own, n_levels};
                    for (size_t m = block; m < block_end; m += kPanelRows) {
                        run_lanes(args, panel, lane, lane + n_lanes, place, m, n);
                        place.own += kTreeLevels * kTileFloats;
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace gemlet

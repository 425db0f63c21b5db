// Decode: few activation rows times each weight row as it lies, four groups of a row in the lanes
// of one register. Included by ISA files only: everything is in an anonymous namespace.
//
// Arith is the instruction set's: dots<width, halves>(codes, x, sums) multiplies the codes of four
// groups; lane g of sums[0] is the sum of group g or, with halves, of its first 16 columns, and
// sums[1] that of the others.
#pragma once

#include "kernels/matmul_block/block_rows_neon.h"

namespace gemlet {
namespace {

constexpr size_t kPrefetch = 2048;  // bytes ahead of the block at hand; rows follow each other
constexpr size_t kMaxDotRows = 4;   // more activation rows than these multiply unpacked tiles

// 256 columns of an activation row. Beyond the row's end: zeros.
struct XBlock {
    int8_t codes[256];
    int32_t start[2][8];  // -bias * sum of the codes; [1]: second 16 columns, only with halves
    float sum[2][8];      // sum of the codes, as above
    float scale[8];
};

inline void fill_x_block(const MatmulBlockArgs& args, size_t at, size_t n_groups, bool halves,
                         int bias, XBlock& x) {
    memset(&x, 0, sizeof(x));
    memcpy(x.codes, args.x.codes + at, 32 * n_groups);
    memcpy(x.scale, args.x.scale + at / 32, n_groups * sizeof(float));
    for (size_t g = 0; g < n_groups; ++g) {
        const int16_t* sums = args.x.sums + at / 16 + 2 * g;
        const int both = sums[0] + sums[1];
        const int part[2] = {halves ? sums[0] : both, sums[1]};
        for (size_t i = 0; i < 2; ++i) {
            x.start[i][g] = -bias * part[i];
            x.sum[i][g] = static_cast<float>(part[i]);
        }
    }
}

inline void fill_x_blocks(const MatmulBlockArgs& args, bool halves, int bias, XBlock* x) {
    const size_t n_groups = args.k / 32;
    for (size_t r = 0; r < args.m; ++r) {
        for (size_t g = 0; g < n_groups; g += 8, ++x) {
            const size_t left = n_groups - g;
            fill_x_block(args, r * args.k + 32 * g, left < 8 ? left : 8, halves, bias, *x);
        }
    }
}

// Adds four groups to their lanes.
template <class Arith, class Rows>
__attribute__((always_inline)) inline float32x4_t add_groups(const Block128& w, const XBlock& x,
                                                             size_t quad, float32x4_t lanes) {
    constexpr size_t kParts = Rows::kHalves ? 2 : 1;
    int32x4_t dots[kParts];
    Arith::template dots<Rows::kWidth, Rows::kHalves>(w.codes, x.codes + 128 * quad, dots);
    float32x4_t t = vdupq_n_f32(0.0F);
#pragma GCC unroll 2
    for (size_t i = 0; i < kParts; ++i) {
        const int32x4_t start = vld1q_s32(x.start[i] + 4 * quad);
        const float32x4_t dot = vcvtq_f32_s32(vaddq_s32(dots[i], start));
        t = i == 0 ? vmulq_f32(w.scale[i], dot) : vfmaq_f32(t, w.scale[i], dot);
    }
#pragma GCC unroll 2
    for (size_t i = 0; Rows::kMins && i < kParts; ++i) {
        t = vfmsq_f32(t, w.min[i], vld1q_f32(x.sum[i] + 4 * quad));
    }
    return vfmaq_f32(lanes, vld1q_f32(x.scale + 4 * quad), t);
}

// Turns 4 x 4 elements.
inline void transpose_four(float32x4_t (&v)[4]) {
    const float32x4_t a = vtrn1q_f32(v[0], v[1]);
    const float32x4_t b = vtrn2q_f32(v[0], v[1]);
    const float32x4_t c = vtrn1q_f32(v[2], v[3]);
    const float32x4_t d = vtrn2q_f32(v[2], v[3]);
    const auto low = [](float32x4_t p, float32x4_t q) {
        return vreinterpretq_f32_f64(
            vzip1q_f64(vreinterpretq_f64_f32(p), vreinterpretq_f64_f32(q)));
    };
    const auto high = [](float32x4_t p, float32x4_t q) {
        return vreinterpretq_f32_f64(
            vzip2q_f64(vreinterpretq_f64_f32(p), vreinterpretq_f64_f32(q)));
    };
    v[0] = low(a, c);
    v[1] = low(b, d);
    v[2] = high(a, c);
    v[3] = high(b, d);
}

// The canonical sum's last step for four weight rows: lanes from the first to the last.
inline float32x4_t add_lanes(const float32x4_t (&rows)[kSlots][2]) {
    float32x4_t sum = vdupq_n_f32(0.0F);
#pragma GCC unroll 2
    for (size_t half = 0; half < 2; ++half) {
        float32x4_t lanes[4] = {rows[0][half], rows[1][half], rows[2][half], rows[3][half]};
        transpose_four(lanes);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; ++i) sum = half + i == 0 ? lanes[0] : vaddq_f32(sum, lanes[i]);
    }
    return sum;
}

// Activation rows m0..m0+kM-1 and weight rows n..n+n_rows-1, chosen before.
template <class Arith, size_t kM, class Rows>
__attribute__((noinline)) void store_dots(const MatmulBlockArgs& args, const Rows& rows,
                                          const XBlock* x, size_t m0, size_t n, size_t n_rows) {
    const size_t n_blocks = (args.k + 255) / 256;
    float32x4_t lanes[kM][kSlots][2] = {};
    x += m0 * n_blocks;
    for (size_t i = 0; i < n_rows; ++i) {
        float32x4_t acc[kM][2] = {};
        for (size_t b = 0; b < n_blocks; ++b) {
            rows.prefetch(b, i, kPrefetch);
#pragma GCC unroll 2
            for (size_t quad = 0; quad < 2; ++quad) {
                Block128 w;
                rows.load(b, quad, i, w);
#pragma GCC unroll 4
                for (size_t r = 0; r < kM; ++r) {
                    acc[r][quad] =
                        add_groups<Arith, Rows>(w, x[r * n_blocks + b], quad, acc[r][quad]);
                }
            }
        }
#pragma GCC unroll 8
        for (size_t r = 0; r < 2 * kM; ++r) lanes[r / 2][i][r % 2] = acc[r / 2][r % 2];
    }
    for (size_t r = 0; r < kM; ++r) {
        float sums[kSlots];
        vst1q_f32(sums, add_lanes(lanes[r]));
        memcpy(args.out + (m0 + r) * args.out_stride + n, sums, n_rows * sizeof(float));
    }
}

// A few activation rows (at most kMaxDotRows). `scratch` holds their XBlocks.
template <class Arith, class Rows>
void multiply_few(const MatmulBlockArgs& args, Rows& rows, uint8_t* scratch) {
    auto* x = reinterpret_cast<XBlock*>(scratch);
    fill_x_blocks(args, Rows::kHalves, rows.bias(), x);
    for (size_t n = args.n_begin; n < args.n_end; n += kSlots) {
        const size_t n_rows = args.n_end - n < kSlots ? args.n_end - n : kSlots;
        for (size_t i = 0; i < n_rows; ++i) rows.row(n + i, i);
        switch (args.m) {
            case 1:
                store_dots<Arith, 1>(args, rows, x, 0, n, n_rows);
                break;
            case 2:
                store_dots<Arith, 2>(args, rows, x, 0, n, n_rows);
                break;
            case 3:
                store_dots<Arith, 3>(args, rows, x, 0, n, n_rows);
                break;
            default:
                store_dots<Arith, 4>(args, rows, x, 0, n, n_rows);
                break;
        }
    }
}

}  // namespace
}  // namespace gemlet

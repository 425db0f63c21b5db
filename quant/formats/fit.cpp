// A block in three steps: the best scale (and minimum) of each sub-block by itself; the block's own
// scale that makes integers of them, each integer chosen among its neighbours by the error it
// gives; the block's scale solved again for the codes that came of it.
#include "quant/formats/fit.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quant/formats/fit_group.h"
#include "quant/formats/pack_block.h"
#include "quant/formats/quantize_block.h"
#include "quant/formats/row_codes.h"
#include "quant/formats/unpack_block.h"
#include "quant/formats/unpack_codes.h"

namespace gemlet {
namespace {

/// How a block's scales are stored: halves at d_at (and 2 bytes further the minimums'), integers
/// of the groups between the bounds; no bounds: the block is one group.
struct FitLayout {
    WeightType type;
    size_t group;
    CodeSet codes;
    bool ranged;
    int scale_low;
    int scale_high;
    size_t d_at;
};

constexpr FitLayout kLayouts[] = {
    {WeightType::q4_0, 32, {-8, 7, false}, false, 0, 0, 0},
    {WeightType::q4_1, 32, {0, 15, false}, true, 0, 0, 0},
    {WeightType::q5_0, 32, {-16, 15, false}, false, 0, 0, 0},
    {WeightType::q5_1, 32, {0, 31, false}, true, 0, 0, 0},
    {WeightType::q8_0, 32, {-127, 127, false}, false, 0, 0, 0},
    {WeightType::iq4_nl, 32, {0, 0, true}, false, 0, 0, 0},
    {WeightType::iq4_xs, 32, {0, 0, true}, false, -32, 31, 0},
    {WeightType::q2_k, 16, {0, 3, false}, true, 0, 15, 80},
    {WeightType::q3_k, 16, {-4, 3, false}, false, -32, 31, 108},
    {WeightType::q4_k, 32, {0, 15, false}, true, 0, 63, 0},
    {WeightType::q5_k, 32, {0, 31, false}, true, 0, 63, 0},
    {WeightType::q6_k, 16, {-32, 31, false}, false, -128, 127, 208},
};

const FitLayout* layout_of(WeightType type) {
    for (const FitLayout& layout : kLayouts) {
        if (layout.type == type) return &layout;
    }
    return nullptr;
}

struct FittedBlock {
    float d = 0;
    float dmin = 0;
    int scales[16] = {};
    int mins[16] = {};

    GroupScale scale_of(size_t group) const {
        return {d * static_cast<float>(scales[group]), dmin * static_cast<float>(mins[group])};
    }
};

void pack_scales(const FitLayout& layout, const FittedBlock& fit, uint8_t* block) {
    switch (layout.type) {
        case WeightType::q2_k:
            for (size_t g = 0; g < 16; ++g) {
                block[g] = static_cast<uint8_t>(fit.scales[g] | (fit.mins[g] << 4));
            }
            return;
        case WeightType::q3_k:
            return pack_q3_k_scales(fit.scales, block + 96);
        case WeightType::q4_k:
        case WeightType::q5_k:
            return pack_k_pairs(fit.scales, fit.mins, block + 4);
        case WeightType::q6_k:
            for (size_t g = 0; g < 16; ++g) block[192 + g] = static_cast<uint8_t>(fit.scales[g]);
            return;
        case WeightType::iq4_xs:
            return pack_iq4_xs_scales(fit.scales, block);
        default:
            return;
    }
}

/// Stores the block's halves. q4_1 and q5_1 add their minimum instead of subtracting it.
void store_halves(const FitLayout& layout, FittedBlock& fit, uint8_t* block) {
    fit.d = store_half(fit.d, block + layout.d_at);
    if (!layout.ranged) return;
    const bool added = layout.scale_high == 0;
    const float stored = store_half(added ? -fit.dmin : fit.dmin, block + layout.d_at + 2);
    fit.dmin = added ? -stored : stored;
}

/// Chooses the integers of a group among the neighbours of the nearest ones.
void choose_integers(const FitLayout& layout, const Group& group, GroupScale wanted, size_t g,
                     FittedBlock& fit) {
    const int scale = nearest_code(wanted.scale, fit.d, layout.scale_low, layout.scale_high);
    const int min = layout.ranged ? nearest_code(wanted.min, fit.dmin, 0, layout.scale_high) : 0;
    // With many integers the neighbours differ too little to matter.
    const int reach = layout.scale_high > 100 ? 0 : 1;
    const int min_reach = layout.ranged ? reach : 0;
    double best = INFINITY;
    FittedBlock attempt = fit;
    for (int ds = -reach; ds <= reach; ++ds) {
        for (int dm = -min_reach; dm <= min_reach; ++dm) {
            attempt.scales[g] = std::clamp(scale + ds, layout.scale_low, layout.scale_high);
            attempt.mins[g] = std::clamp(min + dm, 0, layout.scale_high);
            const double error = group_error(group, layout.codes, attempt.scale_of(g));
            if (!(error < best)) continue;
            best = error;
            fit.scales[g] = attempt.scales[g];
            fit.mins[g] = attempt.mins[g];
        }
    }
}

/// Solves for d and dmin by least squares, codes as they are now.
void solve_halves(const FitLayout& layout, const float* x, const float* w, size_t n,
                  FittedBlock& fit) {
    double aa = 0;
    double ab = 0;
    double bb = 0;
    double ax = 0;
    double bx = 0;
    for (size_t i = 0; i < n; ++i) {
        const size_t g = i / layout.group;
        const GroupScale at = fit.scale_of(g);
        const float inv = at.scale == 0.0F ? 0.0F : 1.0F / at.scale;
        const float q = layout.codes.nearest((x[i] + at.min) * inv);
        const double a = static_cast<double>(fit.scales[g]) * static_cast<double>(q);
        const double b = -static_cast<double>(fit.mins[g]);
        const auto weight = static_cast<double>(w[i]);
        const auto value = static_cast<double>(x[i]);
        aa += weight * a * a;
        ab += weight * a * b;
        bb += weight * b * b;
        ax += weight * a * value;
        bx += weight * b * value;
    }
    const double det = aa * bb - ab * ab;
    if (layout.ranged && det > 1e-9 * aa * bb) {
        const double dmin = (aa * bx - ab * ax) / det;
        const double d = (bb * ax - ab * bx) / det;
        if (d > 0 && dmin >= 0) {
            fit.d = static_cast<float>(d);
            fit.dmin = static_cast<float>(dmin);
        }
        return;
    }
    if (aa > 0 && bb == 0) fit.d = static_cast<float>(ax / aa);
}

double block_error(const FitLayout& layout, const float* x, const float* w, size_t n,
                   const FittedBlock& fit) {
    double error = 0;
    for (size_t at = 0; at < n; at += layout.group) {
        error += group_error({x + at, w + at, layout.group}, layout.codes,
                             fit.scale_of(at / layout.group));
    }
    return error;
}

FittedBlock fit_block(const FitLayout& layout, const float* x, const float* w, size_t n,
                      uint8_t* block) {
    FittedBlock fit;
    GroupScale wanted[16];
    float scales[16] = {};
    float mins[16] = {};
    const size_t n_groups = n / layout.group;
    for (size_t g = 0; g < n_groups; ++g) {
        const Group group{x + g * layout.group, w + g * layout.group, layout.group};
        wanted[g] = layout.ranged ? fit_ranged_group(group, layout.codes)
                                  : fit_signed_group(group, layout.codes, true);
        scales[g] = wanted[g].scale;
        mins[g] = wanted[g].min;
        fit.scales[g] = 1;
        fit.mins[g] = 1;
    }
    if (layout.scale_high == 0) {
        fit.d = wanted[0].scale;
        fit.dmin = wanted[0].min;
        store_halves(layout, fit, block);
        return fit;
    }
    const bool is_signed = layout.scale_low < 0;
    fit.d = extreme_of(scales, n_groups) /
            static_cast<float>(is_signed ? layout.scale_low : layout.scale_high);
    fit.dmin = extreme_of(mins, n_groups) / static_cast<float>(layout.scale_high);
    FittedBlock best;
    double best_error = INFINITY;
    for (int turn = 0; turn < 2; ++turn) {
        store_halves(layout, fit, block);
        for (size_t g = 0; g < n_groups; ++g) {
            choose_integers(layout, {x + g * layout.group, w + g * layout.group, layout.group},
                            wanted[g], g, fit);
        }
        for (int half_turn = 0; half_turn < 2; ++half_turn) {
            const double error = block_error(layout, x, w, n, fit);
            if (error < best_error) {
                best_error = error;
                best = fit;
            }
            solve_halves(layout, x, w, n, fit);
            store_halves(layout, fit, block);
        }
    }
    const double error = block_error(layout, x, w, n, fit);
    if (error < best_error) best = fit;
    store_halves(layout, best, block);
    return best;
}

}  // namespace

bool can_fit(WeightType type) { return layout_of(type) != nullptr; }

bool fit_row(WeightType type, const float* values, const float* importance, size_t n_cols,
             uint8_t* row) {
    const FitLayout* layout = layout_of(type);
    if (layout == nullptr) return false;
    const WeightTypeInfo& info = weight_type_info(type);
    const size_t n = info.block_weights;
    float w[kMaxBlockWeights];
    int8_t codes[kMaxBlockWeights];
    for (size_t at = 0; at < n_cols; at += n) {
        uint8_t* block = row + at / n * info.block_bytes;
        const float* x = values + at;
        for (size_t i = 0; i < n; ++i) w[i] = importance != nullptr ? importance[at + i] : 1.0F;
        std::memset(block, 0, info.block_bytes);
        const FittedBlock fit = fit_block(*layout, x, w, n, block);
        pack_scales(*layout, fit, block);
        for (size_t i = 0; i < n; ++i) {
            const GroupScale scale = fit.scale_of(i / layout->group);
            const float inv = scale.scale == 0.0F ? 0.0F : 1.0F / scale.scale;
            codes[i] = static_cast<int8_t>(layout->codes.nearest((x[i] + scale.min) * inv));
        }
        store_codes(type, codes, n, block);
    }
    return true;
}

float fit_codes(WeightType type, const float* values, const float* importance, size_t n_cols,
                int8_t* codes) {
    const int half = type == WeightType::i2r ? 2 : type == WeightType::i4r ? 8 : 128;
    const CodeSet set{-half, half - 1, false};
    float scale = fit_signed_group({values, importance, n_cols}, set, false).scale;
    if (!(scale > 0.0F) || !std::isfinite(scale)) {
        scale = std::fabs(extreme_of(values, n_cols)) / static_cast<float>(half);
    }
    if (!(scale > 1e-30F) || !std::isfinite(scale)) scale = 1e-30F;
    for (size_t i = 0; i < n_cols; ++i) {
        codes[i] = static_cast<int8_t>(set.nearest(values[i] / scale));
    }
    return scale;
}

int nearest_view_code(WeightType type, float value) {
    if (const FitLayout* layout = layout_of(type)) {
        return static_cast<int>(layout->codes.nearest(value));
    }
    const int half = type == WeightType::i2r ? 2 : type == WeightType::i4r ? 8 : 128;
    return static_cast<int>(CodeSet{-half, half - 1, false}.nearest(value));
}

}  // namespace gemlet

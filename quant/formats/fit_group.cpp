// A group's best scale lies near the one that just covers its extreme, but not at it: a smaller one
// clips few weights and rounds the others finer. Candidates are tried on a grid; each is improved
// by turns: codes for the scale, then the scale that least squares gives for the codes.
#include "quant/formats/fit_group.h"

#include <cmath>

#include "quant/formats/quantize_block.h"
#include "quant/formats/unpack_block.h"

namespace gemlet {
namespace {

constexpr int kTurns = 3;  // more change next to nothing

/// Halfway between the levels of iq4.
constexpr float kMiddles[15] = {-115.5F, -93.5F, -74.0F, -57.0F, -42.0F, -28.5F, -16.0F, -4.5F,
                                7.0F,    19.0F,  31.5F,  45.5F,  61.0F,  79.0F,  101.0F};

float inverse(float scale) {
    const float inv = 1.0F / scale;
    return std::isfinite(inv) ? inv : 0.0F;
}

/// Sums for least squares of w = s q - m.
struct Sums {
    double w = 0, x = 0, q = 0, qq = 0, xq = 0;
};

Sums sums_for(const Group& g, const CodeSet& codes, GroupScale at) {
    const float inv = inverse(at.scale);
    Sums sums;
    float w = 0;
    float x = 0;
    float q1 = 0;
    float qq = 0;
    float xq = 0;
    for (size_t i = 0; i < g.n; ++i) {
        const float q = codes.nearest((g.x[i] + at.min) * inv);
        const float wq = g.w[i] * q;
        w += g.w[i];
        x += g.w[i] * g.x[i];
        q1 += wq;
        qq += wq * q;
        xq += wq * g.x[i];
    }
    sums.w = static_cast<double>(w);
    sums.x = static_cast<double>(x);
    sums.q = static_cast<double>(q1);
    sums.qq = static_cast<double>(qq);
    sums.xq = static_cast<double>(xq);
    return sums;
}

/// The scale for codes around zero, and how much of sum(w x^2) it explains.
struct Merit {
    float scale;
    double gain;
};

Merit solve_signed(const Sums& sums) {
    if (!(sums.qq > 0)) return {0.0F, 0.0};
    return {static_cast<float>(sums.xq / sums.qq), sums.xq * sums.xq / sums.qq};
}

GroupScale solve_ranged(const Sums& s) {
    const double det = s.w * s.qq - s.q * s.q;
    if (det > 1e-12 * s.w * s.qq) {
        const double scale = (s.w * s.xq - s.q * s.x) / det;
        const double min = (s.q * s.xq - s.qq * s.x) / det;
        if (min >= 0 && scale > 0) return {static_cast<float>(scale), static_cast<float>(min)};
    }
    if (s.qq > 0 && s.xq > 0) return {static_cast<float>(s.xq / s.qq), 0.0F};
    return {};
}

}  // namespace

float nearest_level(float v) {
    size_t index = 0;
    for (const float middle : kMiddles) index += v > middle ? 1 : 0;
    return static_cast<float>(kIq4Levels[index]);
}

int level_index(int level) {
    for (int i = 0; i < 16; ++i) {
        if (kIq4Levels[i] >= level) return i;
    }
    return 15;
}

double group_error(const Group& g, const CodeSet& codes, GroupScale at) {
    const float inv = inverse(at.scale);
    float error = 0;
    for (size_t i = 0; i < g.n; ++i) {
        const float q = codes.nearest((g.x[i] + at.min) * inv);
        const float e = g.x[i] + at.min - at.scale * q;
        error += g.w[i] * e * e;
    }
    return static_cast<double>(error);
}

GroupScale fit_signed_group(const Group& g, const CodeSet& codes, bool signed_scale) {
    const float extreme = extreme_of(g.x, g.n);
    if (extreme == 0.0F) return {};
    const float low = codes.levels ? -127.0F : static_cast<float>(codes.low);
    const float high = codes.levels ? 113.0F : static_cast<float>(codes.high);
    const bool fine = high > 40.0F && !codes.levels;  // eight bits: the grid hardly matters
    const bool some = high > 20.0F && !fine && !codes.levels;  // six bits: large tables have them
    const bool few = high <= 1.0F;  // two bits: the best scale is far inside
    const float step = fine ? 0.01F : few ? 0.1F : 0.025F;
    const int below = fine || some ? 2 : 8;
    const int beyond = fine ? 2 : some ? 4 : (g.n > 256 || few) ? 30 : 14;
    Merit best{0.0F, 0.0};
    const auto attempt = [&](float scale) {
        for (int turn = 0; turn < kTurns && scale != 0.0F; ++turn) {
            const Merit merit = solve_signed(sums_for(g, codes, {scale, 0}));
            if (!signed_scale && merit.scale <= 0.0F) return;
            if (!(merit.gain > best.gain)) return;
            best = merit;
            scale = merit.scale;
        }
    };
    // The extreme at the end of either side; the side that reaches further is the better start.
    for (int t = -below; t <= beyond; ++t) {
        const float stretch = 1.0F + step * static_cast<float>(t);
        if (!(stretch > 0.0F)) continue;
        const float at_low = extreme / (low * stretch);
        const float at_high = extreme / (high * stretch);
        if (signed_scale || at_low > 0.0F) attempt(at_low);
        if (signed_scale ? t % 4 == 0 : at_high > 0.0F) attempt(at_high);
    }
    return {best.scale, 0.0F};
}

GroupScale fit_ranged_group(const Group& g, const CodeSet& codes) {
    const ValueRange range = range_of(g.x, g.n);
    const float low = std::fmin(range.low, 0.0F);
    const float width = range.high - low;
    if (!(width > 0.0F) || !std::isfinite(width)) return {};
    const auto top = static_cast<float>(codes.high);
    const bool few = codes.high <= 3;
    GroupScale best;
    double best_error = group_error(g, codes, best);
    const auto attempt = [&](GroupScale at) {
        for (int turn = 0; turn < kTurns && at.scale > 0.0F; ++turn) {
            at = solve_ranged(sums_for(g, codes, at));
            const double error = group_error(g, codes, at);
            if (!(error < best_error)) return;
            best = at;
            best_error = error;
        }
    };
    const int n_scales = few ? 12 : 10;
    const int n_shifts = few ? 4 : 2;
    for (int t = 0; t < n_scales; ++t) {
        const float stretch = 0.9F + (few ? 0.08F : 0.03F) * static_cast<float>(t);
        const float scale = width / (top * stretch);
        for (int shift = 0; shift < n_shifts; ++shift) {
            attempt({scale, std::fmax(-low - 0.3F * scale * static_cast<float>(shift), 0.0F)});
        }
    }
    return best;
}

}  // namespace gemlet

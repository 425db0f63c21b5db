// Inside of quant/formats: the search for the scale of one group of weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemlet {

/// The level of iq4 nearest to v, as a float. NaN gives the lowest.
float nearest_level(float v);

/// Codes of a format: whole numbers from low to high, or the sixteen levels of iq4.
struct CodeSet {
    int low = 0;
    int high = 0;
    bool levels = false;

    /// The code nearest to v, as a float. NaN gives low. Here, because it is in every inner loop.
    float nearest(float v) const {
        if (levels) return nearest_level(v);
        constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
        const float above = v > static_cast<float>(low) ? v : static_cast<float>(low);
        const float within = above < static_cast<float>(high) ? above : static_cast<float>(high);
        return (within + kRound) - kRound;
    }
};

/// weight = scale * code - min.
struct GroupScale {
    float scale = 0;
    float min = 0;
};

/// The group to fit. w: importance [n], not null.
struct Group {
    const float* x;
    const float* w;
    size_t n;
};

/// Weighted squared error of rounding the group with given scales.
double group_error(const Group& g, const CodeSet& codes, GroupScale at);

/// Searches the scale of codes around zero; its sign is free where `signed_scale`.
GroupScale fit_signed_group(const Group& g, const CodeSet& codes, bool signed_scale);

/// Searches scale and minimum (not negative) of codes 0..high.
GroupScale fit_ranged_group(const Group& g, const CodeSet& codes);

/// Index of an iq4 level.
int level_index(int level);

}  // namespace gemlet

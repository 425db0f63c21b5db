// Sliding-window layers turn all pairs. Global layers turn the first part only ("proportional"):
// the exponent still divides by the full head size. Cosine and sine are taken in double and
// rounded, so that the last bit does not depend on the C library's choice of float routine.
#include "core/text/rotary.h"

#include <cmath>

namespace gemlet {
namespace {

RotaryTable make_table(size_t head_dim, double theta, double fraction, double factor) {
    RotaryTable table;
    table.half = head_dim / 2;
    table.frequency = std::make_unique<float[]>(table.half);
    const auto n_rotated = static_cast<size_t>(fraction * static_cast<double>(head_dim) / 2);
    for (size_t j = 0; j < table.half && j < n_rotated; ++j) {
        const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(head_dim);
        table.frequency[j] = static_cast<float>(std::pow(theta, exponent) / factor);
    }
    return table;
}

size_t head_dim_of(const ModelConfig& config, bool is_global) {
    for (const LayerConfig& layer : config.layers) {
        if (layer.is_global == is_global) return layer.head_dim;
    }
    return 0;
}

}  // namespace

void RotaryTable::angles(int32_t position, float* cosine, float* sine) const noexcept {
    for (size_t j = 0; j < half; ++j) {
        const float angle = static_cast<float>(position) * frequency[j];
        cosine[j] = static_cast<float>(std::cos(static_cast<double>(angle)));
        sine[j] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
}

RotaryTables make_rotary_tables(const ModelConfig& config) {
    const auto as_double = [](float value) { return static_cast<double>(value); };
    RotaryTables tables;
    tables.local = make_table(head_dim_of(config, false), as_double(config.rope_theta_local), 1, 1);
    tables.global =
        make_table(head_dim_of(config, true), as_double(config.rope_theta_global),
                   as_double(config.rope_fraction_global), as_double(config.rope_factor_global));
    return tables;
}

}  // namespace gemlet

// One matrix behind the other, rows of codes and their scales apart.
#include "core/tower/quantised_tower.h"

#include <algorithm>
#include <vector>

namespace gemlet {

bool is_float_linear(const TowerLinear& linear) {
    return linear.matrix.row_scale == nullptr && !weight_type_info(linear.matrix.type).is_block;
}

bool QuantisedTower::applies(std::span<TowerLinear* const> linears) {
    return std::any_of(linears.begin(), linears.end(),
                       [](const TowerLinear* linear) { return is_float_linear(*linear); });
}

void QuantisedTower::plan(const char* codes_name, const char* scales_name,
                          std::span<TowerLinear* const> linears, MemoryPlan& plan) {
    size_t n_codes = 0;
    size_t n_scales = 0;
    for (const TowerLinear* linear : linears) {
        if (!is_float_linear(*linear)) continue;
        n_codes += linear->matrix.n_rows * linear->matrix.n_cols;
        n_scales += linear->matrix.n_rows;
    }
    plan.add(codes_name, &codes, n_codes);
    plan.add(scales_name, &scales, n_scales);
}

void QuantisedTower::fill(std::span<TowerLinear* const> linears) const {
    uint8_t* code = codes;
    float* scale = scales;
    std::vector<float> row;
    for (TowerLinear* linear : linears) {
        if (!is_float_linear(*linear)) continue;
        row.resize(linear->matrix.n_cols);
        linear->matrix = quantise_rows(linear->matrix, code, scale, row.data());
        linear->dynamic_rows = true;
        code += linear->matrix.n_rows * linear->matrix.n_cols;
        scale += linear->matrix.n_rows;
    }
}

}  // namespace gemlet

// The bounds of a clipped linear say what int8 must be able to hold on either side, so they are
// what a static scale would be measured for. Bounds stay in the file: they may be narrower on one
// side than the grid.
#include "quant/convert/mobile_towers.h"

#include <algorithm>
#include <cmath>

#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

constexpr std::string_view kEnd = ".linear.weight";
constexpr float kLargestCode = 127.0F;

/// The step that spans the bounds NAME_min and NAME_max; 0 where one is missing or infinite.
float step_of(const Checkpoint& source, const std::string& name) {
    float largest = 0;
    for (const char* side : {"_min", "_max"}) {
        const TensorView* tensor = source.find(name + side);
        if (tensor == nullptr || tensor->raw != RawType::weight || tensor->n_elements() != 1 ||
            weight_type_info(tensor->type).is_block) {
            return 0;
        }
        float bound = 0;
        dequantize_row(tensor->type, tensor->bytes.data(), 1, &bound);
        if (!std::isfinite(bound)) return 0;
        largest = std::max(largest, std::fabs(bound));
    }
    return largest / kLargestCode;
}

}  // namespace

bool is_tower_linear(std::string_view name) {
    return name.find("_tower.") != std::string_view::npos && name.size() > kEnd.size() &&
           name.substr(name.size() - kEnd.size()) == kEnd;
}

std::vector<TowerModule> find_towers(const Checkpoint& source) {
    std::vector<TowerModule> out;
    for (const TensorView& view : source.tensors()) {
        if (!is_tower_linear(view.name) || view.n_dims != 2) continue;
        TowerModule tower;
        tower.module = view.name.substr(0, view.name.rfind('.'));
        tower.weight = {view.bytes.data(), view.type, view.shape[0], view.shape[1],
                        row_bytes(view.type, view.shape[1])};
        const std::string outer = tower.module.substr(0, tower.module.rfind('.'));
        tower.input_scale = step_of(source, outer + ".input");
        tower.output_scale = step_of(source, outer + ".output");
        out.push_back(std::move(tower));
    }
    return out;
}

size_t tower_bits(const Scheme& scheme, std::string_view module) {
    return module.find("vision_tower.") != std::string_view::npos ? 8 : scheme.mobile_bits;
}

}  // namespace gemlet

// Every tensor of a tower passes here once; afterwards types and shapes are trusted.
#include "core/tower/tower_tensors.h"

#include <cmath>
#include <cstring>

#include "core/model/qat_patterns.h"
#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

constexpr const char* kWrongShape = "shape is not what the architecture asks for";

bool has_shape(const TensorView& tensor, std::initializer_list<size_t> shape) {
    if (tensor.n_dims != shape.size()) return false;
    size_t i = 0;
    for (const size_t size : shape) {
        if (tensor.shape[i++] != size) return false;
    }
    return true;
}

bool is_float(const TensorView& tensor) {
    return tensor.raw == RawType::weight && !weight_type_info(tensor.type).is_block;
}

}  // namespace

void TowerTensors::fault(const TensorView& tensor, StatusCode code, const char* text,
                         int64_t number) {
    if (status_.ok()) faulty_ = &tensor;
    fail({code, text, tensor.name, number});
}

const TensorView* TowerTensors::require(const std::string& name) {
    const TensorView* tensor = find(name);
    if (tensor == nullptr) fail({StatusCode::not_found, "tensor is missing", name});
    return tensor;
}

Matrix TowerTensors::plain(const TensorView& tensor, size_t n_rows, size_t n_cols) {
    const WeightTypeInfo& info = weight_type_info(tensor.type);
    if (tensor.raw != RawType::weight || tensor.type == WeightType::nvfp4) {
        fault(tensor, StatusCode::unsupported, "tensor does not hold weights of a known type");
        return {};
    }
    if (n_cols % info.block_weights != 0) {
        fault(tensor, StatusCode::corrupt, "row is not a whole number of blocks");
        return {};
    }
    Matrix out;
    out.data = tensor.bytes.data();
    out.type = tensor.type;
    out.n_rows = n_rows;
    out.n_cols = n_cols;
    out.row_stride_bytes = row_bytes(tensor.type, n_cols);
    return out;
}

const uint8_t* TowerTensors::row_scales(const std::string& name, size_t n) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return nullptr;
    if (tensor->raw != RawType::weight || tensor->type != WeightType::f32 ||
        tensor->n_elements() != n) {
        fault(*tensor, StatusCode::corrupt, "expected one F32 scale per row");
        return nullptr;
    }
    for (size_t i = 0; i < n; ++i) {
        float scale = 0;
        std::memcpy(&scale, tensor->bytes.data() + i * sizeof scale, sizeof scale);
        if (!std::isfinite(scale) || scale <= 0) {
            fault(*tensor, StatusCode::corrupt, "scale is not a positive finite number",
                  static_cast<int64_t>(i));
            return nullptr;
        }
    }
    return tensor->bytes.data();
}

float TowerTensors::activation_scale(const std::string& name) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return 0;
    const float scale = scalar(name, 0);
    if (!std::isfinite(scale) || scale < 0) {
        fault(*tensor, StatusCode::corrupt, "activation scale is not a finite number above zero");
        return 0;
    }
    if (scale == 0) ++store_.n_uncalibrated;
    return scale;
}

Matrix TowerTensors::row_integers(const TensorView& tensor, const std::string& module,
                                  size_t n_rows, size_t n_cols) {
    struct Width {
        RawType raw;
        WeightType type;
        size_t bits;
    };
    constexpr Width kWidths[] = {{RawType::i8, WeightType::i8r, 8},
                                 {RawType::u8, WeightType::i4r, 4},
                                 {RawType::u8, WeightType::i2r, 2}};
    Matrix out;
    for (const Width& width : kWidths) {
        const size_t bytes = row_bytes(width.type, n_cols);
        if (tensor.raw != width.raw || !has_shape(tensor, {n_rows, bytes})) continue;
        const auto declared = declared_bits(*quantization_, module);
        if (declared && *declared != width.bits) {
            fault(tensor, StatusCode::corrupt,
                  "stored width of the weights contradicts config.json (bits)",
                  static_cast<int64_t>(width.bits));
        }
        out = {tensor.bytes.data(), width.type, n_rows, n_cols, bytes};
        out.row_scale = row_scales(module + ".weight_scale", n_rows);
        out.input_scale = activation_scale(module + ".input_activation_scale");
        out.output_scale = activation_scale(module + ".output_activation_scale");
        store_.weight_bytes += n_rows * sizeof(float);
        return out;
    }
    fault(tensor, StatusCode::corrupt, kWrongShape);
    return {};
}

Matrix TowerTensors::matrix(const std::string& name, size_t n_rows, size_t n_cols) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return {};
    Matrix out;
    if (tensor->raw != RawType::weight && quantization_ != nullptr) {
        const std::string module = name.substr(0, name.rfind('.'));
        out = row_integers(*tensor, module, n_rows, n_cols);
    } else if (has_shape(*tensor, {n_rows, n_cols})) {
        out = plain(*tensor, n_rows, n_cols);
    } else {
        fault(*tensor, StatusCode::corrupt, kWrongShape);
    }
    store_.weight_bytes += out.bytes();
    return out;
}

Matrix TowerTensors::table(const std::string& name, std::initializer_list<size_t> shape,
                           size_t n_cols) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return {};
    if (!is_float(*tensor) || !has_shape(*tensor, shape)) {
        fault(*tensor, StatusCode::corrupt, "expected floats in the architecture's shape");
        return {};
    }
    return plain(*tensor, tensor->n_elements() / n_cols, n_cols);
}

void TowerTensors::set_bounds(TowerLinear& linear, float in_min, float in_max, float out_min,
                              float out_max, const std::string& name) {
    if (in_min > in_max || out_min > out_max) {
        fail({StatusCode::corrupt, "lower bound is above the upper one", name});
    }
    linear.input_min = in_min;
    linear.input_max = in_max;
    linear.output_min = out_min;
    linear.output_max = out_max;
}

TowerLinear TowerTensors::linear(const std::string& module, size_t n_rows, size_t n_cols) {
    TowerLinear out;
    const bool wrapped = has(module + ".linear.weight");
    out.matrix = matrix(module + (wrapped ? ".linear.weight" : ".weight"), n_rows, n_cols);
    const TowerLinear none;
    set_bounds(out, scalar(module + ".input_min", none.input_min),
               scalar(module + ".input_max", none.input_max),
               scalar(module + ".output_min", none.output_min),
               scalar(module + ".output_max", none.output_max), module);
    return out;
}

std::string TowerTensors::root(const std::string& probe) const {
    for (const char* root : {"model.", "", "model.vision_model."}) {
        if (has(root + probe)) return root;
    }
    return "model.";
}

bool TowerTensors::widen(const TensorView& tensor, size_t n, float* out) {
    size_t n_dims = 0;
    for (size_t i = 0; i < tensor.n_dims; ++i) n_dims += tensor.shape[i] != 1 ? 1 : 0;
    if (!is_float(tensor) || n_dims > 1 || tensor.n_elements() != n) {
        fault(tensor, StatusCode::corrupt,
              "expected a vector of floats of the architecture's size");
        return false;
    }
    dequantize_row(tensor.type, tensor.bytes.data(), n, out);
    return true;
}

const float* TowerTensors::vector(const std::string& name, size_t n) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return nullptr;
    // Checked first: n comes from the metadata and may be anything.
    if (tensor->n_elements() != n) {
        fault(*tensor, StatusCode::corrupt, kWrongShape);
        return nullptr;
    }
    store_.vectors.push_back(std::make_unique<float[]>(n));
    float* out = store_.vectors.back().get();
    if (!widen(*tensor, n, out)) return nullptr;
    for (size_t i = 0; i < n; ++i) {
        if (!std::isfinite(out[i])) {
            fault(*tensor, StatusCode::corrupt, "weight is not finite", static_cast<int64_t>(i));
            return nullptr;
        }
    }
    store_.weight_bytes += n * sizeof(float);
    return out;
}

float TowerTensors::scalar(const std::string& name, float missing) {
    const TensorView* tensor = find(name);
    float value = missing;
    if (tensor == nullptr || !widen(*tensor, 1, &value)) return missing;
    if (std::isnan(value)) fault(*tensor, StatusCode::corrupt, "not a number");
    return value;
}

}  // namespace gemlet

// Every tensor passes here once: present, of a type we can compute with, of exactly the shape the
// architecture asks for. Afterwards the shapes are trusted.
#include "core/model/binder.h"

#include <cmath>
#include <cstring>

#include "core/model/qat_patterns.h"
#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

float load_f32(const uint8_t* at) {
    float value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}

/// Drops dimensions of one at the end, so that [n, 1] compares equal to [n].
size_t significant_dims(const TensorView& tensor) {
    size_t n = tensor.n_dims;
    while (n > 0 && tensor.shape[n - 1] == 1) --n;
    return n;
}

bool has_shape(const TensorView& tensor, std::initializer_list<size_t> shape) {
    if (tensor.n_dims != shape.size()) return false;
    size_t i = 0;
    for (const size_t size : shape) {
        if (tensor.shape[i++] != size) return false;
    }
    return true;
}

}  // namespace

void Binder::fault(const TensorView& tensor, StatusCode code, const char* text, int64_t number) {
    if (status_.ok()) fault_file_ = checkpoint_.path_of(tensor);
    fail({code, text, tensor.name, number});
}

const TensorView* Binder::require(const std::string& name) {
    const TensorView* tensor = checkpoint_.find(name);
    if (tensor == nullptr) {
        const std::string in_file = checkpoint_.file_name_of(name);
        fail({StatusCode::not_found, "tensor is missing", in_file.empty() ? name : in_file});
    }
    return tensor;
}

Matrix Binder::plain(const TensorView& tensor, size_t n_rows, size_t n_cols) {
    if (tensor.raw != RawType::weight) {
        fault(tensor, StatusCode::corrupt, "tensor does not hold weights of a known type");
        return {};
    }
    const WeightTypeInfo& info = weight_type_info(tensor.type);
    if (n_cols % info.block_weights != 0) {
        fault(tensor, StatusCode::corrupt, "row is not a whole number of blocks");
        return {};
    }
    if (tensor.type == WeightType::nvfp4) {
        fault(tensor, StatusCode::unsupported, "NVFP4 weights are not supported");
        return {};
    }
    Matrix matrix;
    matrix.data = tensor.bytes.data();
    matrix.type = tensor.type;
    matrix.n_rows = n_rows;
    matrix.n_cols = n_cols;
    matrix.row_stride_bytes = row_bytes(tensor.type, n_cols);
    return matrix;
}

const uint8_t* Binder::scales(const std::string& name, size_t n, bool check_all) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return nullptr;
    if (tensor->raw != RawType::weight || tensor->type != WeightType::f32 ||
        tensor->n_elements() != n) {
        fault(*tensor, StatusCode::corrupt, "expected one F32 scale per row or block");
        return nullptr;
    }
    for (size_t i = 0; check_all && i < n; ++i) {
        const float scale = load_f32(tensor->bytes.data() + i * sizeof(float));
        if (!std::isfinite(scale) || scale <= 0) {
            fault(*tensor, StatusCode::corrupt, "scale is not a positive finite number",
                  static_cast<int64_t>(i));
            return nullptr;
        }
    }
    return tensor->bytes.data();
}

float Binder::activation_scale(const std::string& name) {
    if (require(name) == nullptr) return 0;
    const float scale = scalar(name, 0);
    if (scale < 0) {
        fault(*checkpoint_.find(name), StatusCode::corrupt, "activation scale is negative");
        return 0;
    }
    if (scale == 0) ++weights_.n_uncalibrated;
    return scale;
}

void Binder::check_declared_bits(const std::string& module, size_t bits) {
    const Json* config = checkpoint_.config_json().find("quantization_config");
    if (config == nullptr) return;
    const bool is_head = module == "lm_head";
    const auto declared =
        declared_bits(*config, is_head ? module : "model.language_model." + module);
    if (declared && *declared != bits) {
        fail({StatusCode::corrupt, "stored width of the weights contradicts config.json (bits)",
              module, static_cast<int64_t>(bits)});
    }
}

Matrix Binder::row_integers(const TensorView& tensor, const std::string& module, size_t n_rows,
                            size_t n_cols) {
    Matrix matrix;
    matrix.n_rows = n_rows;
    matrix.n_cols = n_cols;
    size_t bits = 8;
    if (tensor.raw == RawType::i8 && has_shape(tensor, {n_rows, n_cols})) {
        matrix.type = WeightType::i8r;
    } else if (tensor.raw == RawType::u8 &&
               has_shape(tensor, {n_rows, row_bytes(WeightType::i4r, n_cols)})) {
        matrix.type = WeightType::i4r;
        bits = 4;
    } else if (tensor.raw == RawType::u8 &&
               has_shape(tensor, {n_rows, row_bytes(WeightType::i2r, n_cols)})) {
        matrix.type = WeightType::i2r;
        bits = 2;
    } else {
        fault(tensor, StatusCode::corrupt, "shape is not what the architecture asks for");
        return {};
    }
    check_declared_bits(module, bits);
    matrix.data = tensor.bytes.data();
    matrix.row_stride_bytes = row_bytes(matrix.type, n_cols);
    return matrix;
}

Matrix Binder::linear(const std::string& module, size_t n_rows, size_t n_cols) {
    const TensorView* tensor = require(module + ".weight");
    if (tensor == nullptr) return {};
    Matrix matrix;
    if (tensor->raw != RawType::weight) {
        if (!checkpoint_.config().is_qat) {
            fault(*tensor, StatusCode::unsupported,
                  "integer weights in a checkpoint that declares none");
            return {};
        }
        matrix = row_integers(*tensor, module, n_rows, n_cols);
        matrix.row_scale = scales(module + ".weight_scale", n_rows, true);
        matrix.input_scale = activation_scale(module + ".input_activation_scale");
        matrix.output_scale = activation_scale(module + ".output_activation_scale");
        count_always(n_rows * sizeof(float));
    } else if (has_shape(*tensor, {n_rows, n_cols})) {
        matrix = plain(*tensor, n_rows, n_cols);
    } else {
        fault(*tensor, StatusCode::corrupt, "shape is not what the architecture asks for");
    }
    count_always(matrix.bytes());
    return matrix;
}

Matrix Binder::stack(const std::string& name, size_t n_experts, size_t n_rows, size_t n_cols) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return {};
    if (!has_shape(*tensor, {n_experts, n_rows, n_cols})) {
        fault(*tensor, StatusCode::corrupt, "shape is not what the architecture asks for");
        return {};
    }
    const Matrix matrix = plain(*tensor, n_experts * n_rows, n_cols);
    const size_t used = checkpoint_.config().n_experts_used;
    count_always(matrix.bytes() / n_experts * used);
    count_looked_up(matrix.bytes() / n_experts * (n_experts - used));
    return matrix;
}

const float* Binder::vector(const std::string& name, size_t n) {
    const TensorView* tensor = require(name);
    if (tensor == nullptr) return nullptr;
    const bool is_float =
        tensor->raw == RawType::weight && !weight_type_info(tensor->type).is_block;
    if (!is_float || significant_dims(*tensor) > 1 || tensor->n_elements() != n) {
        fault(*tensor, StatusCode::corrupt,
              "expected a vector of floats of the architecture's size");
        return nullptr;
    }
    weights_.vectors.push_back(std::make_unique<float[]>(n));
    float* out = weights_.vectors.back().get();
    dequantize_row(tensor->type, tensor->bytes.data(), n, out);
    for (size_t i = 0; i < n; ++i) {
        if (!std::isfinite(out[i])) {
            fault(*tensor, StatusCode::corrupt, "weight is not finite", static_cast<int64_t>(i));
            return nullptr;
        }
    }
    count_always(n * sizeof(float));
    return out;
}

float Binder::scalar(const std::string& name, float missing) {
    if (!has(name)) return missing;
    const float* value = vector(name, 1);
    return value != nullptr ? *value : missing;
}

float Binder::positive_scalar(const std::string& name, float missing) {
    const float value = scalar(name, missing);
    if (has(name) && status_.ok() && value <= 0) {
        fault(*checkpoint_.find(name), StatusCode::corrupt, "scale is not positive");
        return missing;
    }
    return value;
}

EmbeddingTable Binder::table(const std::string& module, size_t n_rows, size_t n_cols,
                             float factor) {
    EmbeddingTable table;
    table.factor = factor;
    const TensorView* codes = checkpoint_.find(module + ".embedding_quantized");
    if (codes == nullptr) {
        const TensorView* tensor = require(module + ".weight");
        if (tensor == nullptr) return table;
        if (!has_shape(*tensor, {n_rows, n_cols})) {
            fault(*tensor, StatusCode::corrupt, "shape is not what the architecture asks for");
            return table;
        }
        table.rows = plain(*tensor, n_rows, n_cols);
        return table;
    }
    table.rows = row_integers(*codes, module, n_rows, n_cols);
    const TensorView* scale = require(module + ".embedding_scale");
    if (scale == nullptr) return table;
    if (scale->n_dims != 2 || scale->shape[0] != n_rows || scale->shape[1] == 0 ||
        n_cols % scale->shape[1] != 0) {
        fault(*scale, StatusCode::corrupt, "scales are not one per row and block");
        return table;
    }
    table.n_blocks = scale->shape[1];
    // The per-layer table's scales alone are tens of megabytes: checked when a row is looked up.
    table.block_scale =
        scales(module + ".embedding_scale", n_rows * table.n_blocks, table.n_blocks == 1);
    return table;
}

}  // namespace gemlet

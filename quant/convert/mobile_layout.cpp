// Tensors keep the names and the form that they have in the source, but for linears and tables,
// each of which becomes codes, scales and, for a linear, two static scales of activations.
#include "quant/convert/mobile_layout.h"

#include <algorithm>
#include <utility>

namespace gemlet {
namespace {

const char* dtype_of(const TensorView& tensor) {
    if (tensor.raw != RawType::weight) return nullptr;
    if (tensor.type == WeightType::f32) return "F32";
    if (tensor.type == WeightType::f16) return "F16";
    return tensor.type == WeightType::bf16 ? "BF16" : nullptr;
}

}  // namespace

WeightType row_type(size_t bits) {
    return bits == 2 ? WeightType::i2r : bits == 4 ? WeightType::i4r : WeightType::i8r;
}

void MobileLayout::add(const std::string& name, const char* dtype, std::vector<size_t> shape,
                       size_t n_bytes) {
    tensors_.push_back({name, dtype, std::move(shape), n_bytes});
}

void MobileLayout::add_linear(const std::string& module, const Matrix& matrix, size_t bits) {
    const size_t stride = row_bytes(row_type(bits), matrix.n_cols);
    add(module + ".weight", bits == 8 ? "I8" : "U8", {matrix.n_rows, stride},
        matrix.n_rows * stride);
    add(module + ".weight_scale", "F32", {matrix.n_rows, 1}, matrix.n_rows * sizeof(float));
    add(module + ".input_activation_scale", "F32", {}, sizeof(float));
    add(module + ".output_activation_scale", "F32", {}, sizeof(float));
    n_weights_ += matrix.n_rows * matrix.n_cols;
    ++n_quantised_;
}

void MobileLayout::add_table(const std::string& module, const Matrix& rows, size_t n_blocks) {
    const size_t stride = row_bytes(WeightType::i4r, rows.n_cols);
    add(module + ".embedding_quantized", "U8", {rows.n_rows, stride}, rows.n_rows * stride);
    add(module + ".embedding_scale", "F32", {rows.n_rows, n_blocks},
        rows.n_rows * n_blocks * sizeof(float));
    n_weights_ += rows.n_rows * rows.n_cols;
    ++n_quantised_;
}

void MobileLayout::add_layer(const ModelConfig& config, const Scheme& scheme,
                             const LayerWeights& weights, size_t layer) {
    LayerWeights copy = weights;
    for (size_t i = 0; i < kLayerLinears; ++i) {
        const auto linear_of = static_cast<LayerLinear>(i);
        const Matrix& matrix = matrix_of(copy, linear_of);
        if (!matrix.present()) continue;
        add_linear(linear(layer, linear_of), matrix, mobile_bits(scheme, config, layer, linear_of));
    }
    add(attention(layer) + ".k_cache_scale", "F32", {}, sizeof(float));
    add(attention(layer) + ".v_cache_scale", "F32", {}, sizeof(float));
}

std::string MobileLayout::linear(size_t layer, LayerLinear linear) const {
    return prefix_ + "layers." + std::to_string(layer) + "." + name_of(linear);
}

std::string MobileLayout::attention(size_t layer) const {
    return prefix_ + "layers." + std::to_string(layer) + ".self_attn";
}

const SafetensorsTensor& MobileLayout::tensor(const std::string& name) const {
    return *std::ranges::lower_bound(tensors_, name, {}, &SafetensorsTensor::name);
}

bool MobileLayout::is_replaced(const std::string& name) const {
    for (const std::string& module : {std::string("lm_head"), embedding(), ple_table()}) {
        if (name == module + ".weight") return true;
    }
    if (is_tower_linear(name)) return true;
    const std::string layers = prefix_ + "layers.";
    if (name.compare(0, layers.size(), layers) != 0) return false;
    for (size_t i = 0; i < kLayerLinears; ++i) {
        const std::string end = std::string(".") + name_of(static_cast<LayerLinear>(i)) + ".weight";
        if (name.size() > end.size() &&
            name.compare(name.size() - end.size(), end.size(), end) == 0) {
            return true;
        }
    }
    return false;
}

Status MobileLayout::plan(const Checkpoint& source, const Scheme& scheme,
                          const TextWeights& weights) {
    const ModelConfig& config = source.config();
    const std::string norm = "norm.weight";
    const std::string norm_name = source.file_name_of(norm);
    prefix_ = norm_name.substr(0, norm_name.size() - norm.size());
    if (prefix_.find("language_model.") == std::string::npos) {
        return {StatusCode::unsupported, "tensor names are not those of the whole model",
                source.path()};
    }
    for (const TensorView& view : source.tensors()) {
        source_bytes_ += view.bytes.size();
        if (is_replaced(view.name)) continue;
        const char* dtype = dtype_of(view);
        if (dtype == nullptr) {
            return {StatusCode::unsupported, "tensor does not hold floats", view.name};
        }
        add(view.name, dtype, {view.shape.begin(), view.shape.begin() + view.n_dims},
            view.bytes.size());
    }
    for (size_t layer = 0; layer < config.n_layers; ++layer) {
        add_layer(config, scheme, weights.layers[layer], layer);
    }
    towers_ = find_towers(source);
    for (const TowerModule& tower : towers_) {
        add_linear(tower.module, tower.weight, tower_bits(scheme, tower.module));
    }
    add_table(embedding(), weights.embedding.rows, 1);
    if (config.ple_width != 0) add_table(ple_table(), weights.ple.rows, config.n_layers);
    add_linear("lm_head", weights.head, scheme.mobile_bits);
    // Four-byte numbers first, so that all of them are aligned.
    std::ranges::stable_sort(tensors_, [](const auto& a, const auto& b) {
        return (a.dtype == "F32") > (b.dtype == "F32");
    });
    front_ = write_safetensors_front(tensors_, file_bytes_);
    std::ranges::sort(tensors_, {}, &SafetensorsTensor::name);
    return {};
}

}  // namespace gemlet

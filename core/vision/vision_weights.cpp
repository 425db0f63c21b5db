// The list of tensors of both designs under their Hugging Face and GGUF names.
#include "core/vision/vision_weights.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace gemlet {
namespace {

/// A linear layer of the transformer: its two names, and its place in v.clamp_data.
struct LinearName {
    const char* hugging_face;
    const char* gguf;
    TowerLinear VisionLayer::*member;
};

constexpr LinearName kLinears[] = {
    {"self_attn.q_proj", "attn_q", &VisionLayer::q},
    {"self_attn.k_proj", "attn_k", &VisionLayer::k},
    {"self_attn.v_proj", "attn_v", &VisionLayer::v},
    {"self_attn.o_proj", "attn_out", &VisionLayer::o},
    {"mlp.gate_proj", "ffn_gate", &VisionLayer::gate},
    {"mlp.up_proj", "ffn_up", &VisionLayer::up},
    {"mlp.down_proj", "ffn_down", &VisionLayer::down},
};
constexpr size_t kBounds = 4;  // in_min, in_max, out_min, out_max

struct VectorName {
    const char* hugging_face;
    const char* gguf;
    const float* VisionLayer::*member;
    bool per_head;
};

constexpr VectorName kVectors[] = {
    {"input_layernorm", "ln1", &VisionLayer::input_norm, false},
    {"post_attention_layernorm", "attn_post_norm", &VisionLayer::post_attention_norm, false},
    {"pre_feedforward_layernorm", "ln2", &VisionLayer::pre_ffn_norm, false},
    {"post_feedforward_layernorm", "ffn_post_norm", &VisionLayer::post_ffn_norm, false},
    {"self_attn.q_norm", "attn_q_norm", &VisionLayer::q_norm, true},
    {"self_attn.k_norm", "attn_k_norm", &VisionLayer::k_norm, true},
};

/// Binds one encoder.
class VisionBinder {
  public:
    VisionBinder(const TowerSource& files, const VisionConfig& config, VisionWeights& out)
        : in_(files.tensors, files.quantization, out.store),
          is_gguf_(files.is_gguf),
          config_(config),
          out_(out) {
        root_ = in_.root("embed_vision.embedding_projection.weight");
    }
    void bind();
    const TowerTensors& tensors() const { return in_; }

  private:
    std::string pick(const std::string& hugging_face, const std::string& gguf) const {
        return is_gguf_ ? gguf : root_ + hugging_face;
    }
    std::string layer(size_t index, const char* hugging_face, const char* gguf) const {
        const std::string number = std::to_string(index);
        return is_gguf_ ? "v.blk." + number + "." + gguf
                        : root_ + "vision_tower.encoder.layers." + number + "." + hugging_face;
    }
    void bind_transformer();
    void bind_embedder();
    void bind_layer(size_t index);
    void bind_projector();
    void bind_positions(const std::string& name, bool axis_inside);
    void bind_packed_bounds();
    LayerNormWeights layer_norm(const std::string& module, size_t n);

    TowerTensors in_;
    bool is_gguf_;
    const VisionConfig& config_;
    VisionWeights& out_;
    std::string root_;
};

void VisionBinder::bind_layer(size_t index) {
    VisionLayer& out = out_.layers[index];
    for (const VectorName& name : kVectors) {
        out.*name.member = in_.vector(layer(index, name.hugging_face, name.gguf) + ".weight",
                                      name.per_head ? config_.head_dim : config_.width);
    }
    for (const LinearName& name : kLinears) {
        const bool is_kv = name.member == &VisionLayer::k || name.member == &VisionLayer::v;
        size_t n_rows = is_kv ? config_.kv_width() : config_.q_width();
        size_t n_cols = config_.width;
        if (name.member == &VisionLayer::gate || name.member == &VisionLayer::up) {
            n_rows = config_.ffn_width;
        } else if (name.member == &VisionLayer::o) {
            n_rows = config_.width;
            n_cols = config_.q_width();
        } else if (name.member == &VisionLayer::down) {
            n_rows = config_.width;
            n_cols = config_.ffn_width;
        }
        out.*name.member = in_.linear(layer(index, name.hugging_face, name.gguf), n_rows, n_cols);
    }
    const std::string scale = layer(index, "layer_scalar", "out_scale.weight");
    if (const TensorView* tensor = in_.find(scale); tensor != nullptr) {
        if (tensor->n_elements() == 1) {
            const float value = in_.scalar(scale, 1.0F);
            out_.store.vectors.push_back(std::make_unique<float[]>(config_.width));
            std::fill_n(out_.store.vectors.back().get(), config_.width, value);
            out.output_scale = out_.store.vectors.back().get();
        } else {
            out.output_scale = in_.vector(scale, config_.width);
        }
    }
}

/// One dialect keeps all bounds in one vector: for each layer and linear, then the projector; four
/// zeros mean that there are none.
void VisionBinder::bind_packed_bounds() {
    const std::string name = "v.clamp_data";
    const TensorView* tensor = in_.find(name);
    if (tensor == nullptr) return;
    const size_t in_layers = config_.n_layers * std::size(kLinears) * kBounds;
    const size_t n = tensor->n_elements() == in_layers ? in_layers : in_layers + kBounds;
    const float* bounds = in_.vector(name, n);
    if (bounds == nullptr) return;
    const auto take = [&](TowerLinear& linear) {
        const bool none = std::all_of(bounds, bounds + kBounds, [](float v) { return v == 0; });
        if (!none) in_.set_bounds(linear, bounds[0], bounds[1], bounds[2], bounds[3], name);
        bounds += kBounds;
    };
    for (VisionLayer& layer : out_.layers) {
        for (const LinearName& linear_name : kLinears) take(layer.*linear_name.member);
    }
    if (n > in_layers) take(out_.projector);
}

/// Both planes of the table behind each other, or (`axis_inside`) x and y in turn.
void VisionBinder::bind_positions(const std::string& name, bool axis_inside) {
    const TensorView* tensor = in_.require(name);
    if (tensor == nullptr) return;
    const size_t n = tensor->n_dims == 3 ? tensor->shape[axis_inside ? 0 : 1] : 0;
    if (n == 0) return in_.fault(*tensor, StatusCode::corrupt, "not a table of two coordinates");
    out_.positions = axis_inside ? in_.table(name, {n, 2, config_.width}, config_.width)
                                 : in_.table(name, {2, n, config_.width}, config_.width);
    out_.n_positions = n;
    out_.position_stride = axis_inside ? 2 : 1;
    out_.position_offset = axis_inside ? 1 : n;
}

void VisionBinder::bind_projector() {
    out_.projector = in_.linear(pick("embed_vision.embedding_projection", "mm.input_projection"),
                                config_.text_width, config_.width);
}

void VisionBinder::bind_transformer() {
    const std::string patch =
        pick("vision_tower.patch_embedder.input_proj.weight", "v.patch_embd.weight");
    if (is_gguf_) {
        // A convolution's weight: its rows are the filters.
        const size_t side = config_.patch_side;
        out_.patch.matrix = in_.table(patch, {config_.width, 3, side, side}, config_.patch_dim());
        out_.patch.matrix.n_rows = config_.width;
        out_.store.weight_bytes += out_.patch.matrix.bytes();
    } else {
        out_.patch.matrix = in_.matrix(patch, config_.width, config_.patch_dim());
    }
    bind_positions(
        pick("vision_tower.patch_embedder.position_embedding_table", "v.position_embd.weight"),
        false);
    out_.layers.resize(config_.n_layers);
    for (size_t i = 0; i < config_.n_layers && in_.status().ok(); ++i) bind_layer(i);
    const std::string bias = pick("vision_tower.std_bias", "v.std_bias");
    const std::string scale = pick("vision_tower.std_scale", "v.std_scale");
    if (config_.standardize || in_.has(bias) || in_.has(scale)) {
        out_.std_bias = in_.vector(bias, config_.width);
        out_.std_scale = in_.vector(scale, config_.width);
    }
    bind_projector();
    if (is_gguf_ && in_.status().ok()) bind_packed_bounds();
}

LayerNormWeights VisionBinder::layer_norm(const std::string& module, size_t n) {
    return {in_.vector(module + ".weight", n), in_.vector(module + ".bias", n)};
}

void VisionBinder::bind_embedder() {
    const size_t dim = config_.patch_dim();
    out_.norm_patch = layer_norm(pick("vision_embedder.patch_ln1", "v.patch_norm.1"), dim);
    const std::string dense = pick("vision_embedder.patch_dense", "v.patch_embd");
    out_.patch.matrix = in_.matrix(dense + ".weight", config_.width, dim);
    out_.patch_bias = in_.vector(dense + ".bias", config_.width);
    out_.norm_dense =
        layer_norm(pick("vision_embedder.patch_ln2", "v.patch_norm.2"), config_.width);
    bind_positions(pick("vision_embedder.pos_embedding", "v.position_embd.weight"), !is_gguf_);
    out_.norm_positions =
        layer_norm(pick("vision_embedder.pos_norm", "v.patch_norm.3"), config_.width);
    bind_projector();
}

void VisionBinder::bind() {
    if (config_.kind == VisionKind::transformer) return bind_transformer();
    bind_embedder();
}

}  // namespace

Result<VisionWeights> bind_vision_weights(const TowerSource& files, const VisionConfig& config,
                                          const TensorView** faulty) {
    VisionWeights out;
    VisionBinder binder(files, config, out);
    binder.bind();
    if (!binder.tensors().status().ok()) {
        if (faulty != nullptr) *faulty = binder.tensors().faulty();
        return binder.tensors().status();
    }
    return out;
}

std::vector<TowerLinear*> VisionWeights::layer_linears() {
    std::vector<TowerLinear*> out;
    for (VisionLayer& layer : layers) {
        for (const LinearName& name : kLinears) out.push_back(&(layer.*name.member));
    }
    return out;
}

}  // namespace gemlet

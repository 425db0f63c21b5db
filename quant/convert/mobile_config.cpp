// Widths are declared by patterns, of which the first that matches counts. Published files keep
// the projections of per-layer inputs in eight bits and BF16. Measured on nano (divergence gained
// per megabyte): 0.014 there, 0.021 at the head, 0.013 at keys and values, 0.005 at the projection
// to per-layer inputs; so none of the first three stands out, and all have the scheme's width.
#include <string>

#include "quant/convert/mobile.h"
#include "quant/convert/mobile_layout.h"

namespace gemlet {
namespace {

Json width(size_t bits) {
    Json out = Json::object();
    out.set("num_bits", Json::of_integer(static_cast<int64_t>(bits)));
    return out;
}

/// "(0|1|2)".
std::string group(size_t n) {
    std::string out = "(";
    for (size_t i = 0; i < n; ++i) out += (i == 0 ? "" : "|") + std::to_string(i);
    return out + ")";
}

}  // namespace

size_t mobile_bits(const Scheme& scheme, const ModelConfig& model, size_t layer,
                   LayerLinear linear) {
    const bool is_ffn = input_of(linear) == LayerInput::feed_forward || linear == LayerLinear::down;
    return is_ffn && layer >= model.n_owning_layers ? scheme.late_bits : scheme.mobile_bits;
}

Json mobile_config(const Json& config, const Scheme& scheme, const ModelConfig& model) {
    const std::string layers = "language_model\\.layers\\.";
    const size_t table_bits = 4;
    Json widths = Json::object();
    widths.set("^lm_head$", width(scheme.mobile_bits));
    widths.set("language_model\\.embed_tokens$", width(table_bits));
    widths.set("language_model\\.embed_tokens_per_layer$", width(table_bits));
    // Behind the KV-writing layers the feed-forward has a width of its own.
    widths.set(layers + group(model.n_owning_layers) + "\\.mlp\\.", width(scheme.mobile_bits));
    widths.set(layers + "\\d+\\.mlp\\.", width(scheme.late_bits));
    widths.set(layers + "\\d+\\.per_layer_input_gate$", width(scheme.mobile_bits));
    widths.set(layers + "\\d+\\.per_layer_projection$", width(scheme.mobile_bits));
    widths.set(layers + "\\d+\\.self_attn\\.", width(scheme.mobile_bits));
    widths.set("language_model\\.per_layer_model_projection$", width(scheme.mobile_bits));
    widths.set("audio_tower", width(tower_bits(scheme, "audio_tower.")));
    widths.set("vision_tower", width(tower_bits(scheme, "vision_tower.")));
    Json kept = Json::array();
    for (const char* module :
         {"model.vision_tower.patch_embedder", "model.audio_tower.subsample_conv_projection",
          "model.audio_tower.output_proj", "relative_k_proj", "model.embed_audio",
          "model.embed_vision"}) {
        kept.items.push_back(Json::of(module));
    }
    Json quantization = Json::object();
    quantization.set("quant_method", Json::of("gemma"));
    quantization.set("num_bits", Json::of_integer(static_cast<int64_t>(scheme.mobile_bits)));
    quantization.set("quantize_embeddings", Json::of_bool(true));
    quantization.set("module_quant_configs", std::move(widths));
    quantization.set("modules_to_not_convert", std::move(kept));
    Json out = config;
    out.set("tie_word_embeddings", Json::of_bool(false));
    for (Json::Member& member : out.members) {
        if (member.first == "text_config") {
            member.second.set("tie_word_embeddings", Json::of_bool(false));
        }
    }
    out.set("quantization_config", std::move(quantization));
    return out;
}

}  // namespace gemlet

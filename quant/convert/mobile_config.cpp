// Widths are declared by patterns, of which the first that matches counts. As in published files,
// the projections of per-layer inputs have eight bits, and the one that makes them stays in floats:
// four bits at both are smaller and lose less than llama.cpp's types of that size do (nano: 0.0195
// beside 0.0216 in 3,250,416 bytes), but programs that know the layout refuse such files.
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
    if (linear == LayerLinear::ple_gate || linear == LayerLinear::ple_projection) return 8;
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
    widths.set(layers + "\\d+\\.per_layer_input_gate$", width(8));
    widths.set(layers + "\\d+\\.per_layer_projection$", width(8));
    widths.set(layers + "\\d+\\.self_attn\\.", width(scheme.mobile_bits));
    widths.set("audio_tower", width(tower_bits(scheme, "audio_tower.")));
    widths.set("vision_tower", width(tower_bits(scheme, "vision_tower.")));
    Json kept = Json::array();
    for (const char* module :
         {"model.vision_tower.patch_embedder", "model.audio_tower.subsample_conv_projection",
          "model.audio_tower.output_proj", "relative_k_proj", "model.embed_audio",
          "model.embed_vision", "per_layer_model_projection"}) {
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

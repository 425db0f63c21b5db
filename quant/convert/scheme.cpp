// The mixes are those that the standard tool writes for its medium variants, so that a file of ours
// and one of theirs have the same size and can be compared; q2_k spends its bytes better.
#include "quant/convert/scheme.h"

#include <array>

namespace gemlet {
namespace {

struct GgufScheme {
    std::string_view name;
    WeightType body;
    uint32_t file_type;
};

constexpr std::array kGgufSchemes = {
    GgufScheme{"gguf:q8_0", WeightType::q8_0, 7},
    GgufScheme{"gguf:q6_k", WeightType::q6_k, 18},
    GgufScheme{"gguf:q5_k", WeightType::q5_k, 17},
    GgufScheme{"gguf:q4_k", WeightType::q4_k, 15},
    GgufScheme{"gguf:q4_0", WeightType::q4_0, 2},
    GgufScheme{"gguf:iq4_nl", WeightType::iq4_nl, 25},
    GgufScheme{"gguf:iq4_xs", WeightType::iq4_xs, 30},
    GgufScheme{"gguf:q3_k", WeightType::q3_k, 12},
    GgufScheme{"gguf:q2_k", WeightType::q2_k, 10},
};

struct MobileScheme {
    std::string_view name;
    size_t bits;
    size_t late_bits;
};

constexpr std::array kMobileSchemes = {MobileScheme{"mobile:w8", 8, 8},
                                       MobileScheme{"mobile:w4", 4, 4},
                                       MobileScheme{"mobile:w4w2", 4, 2}};

/// The first and last eighth of the layers and every third between them.
bool is_sensitive(size_t layer, size_t n_layers) {
    const size_t eighth = n_layers / 8;
    return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
}

WeightType mixed_type(const Scheme& scheme, const ModelConfig& config, Role role, size_t layer) {
    const bool sensitive = is_sensitive(layer, config.n_layers);
    const bool is_v = role == Role::attention_v;
    const bool is_down = role == Role::down;
    const bool is_feed_forward = role == Role::feed_forward;
    switch (scheme.body) {
        case WeightType::q5_k:
        case WeightType::q4_k:
            return (is_v || is_down) && sensitive ? WeightType::q6_k : scheme.body;
        case WeightType::q3_k:
            if (is_v) return layer < 2 ? WeightType::q5_k : WeightType::q4_k;
            if (is_down) {
                if (layer < config.n_layers / 16) return WeightType::q5_k;
                return sensitive ? WeightType::q4_k : WeightType::q3_k;
            }
            return role == Role::attention_output ? WeightType::q4_k : scheme.body;
        case WeightType::q2_k:
            if (is_v) return WeightType::q4_k;
            return is_feed_forward ? scheme.body : WeightType::q3_k;
        default:
            return scheme.body;
    }
}

/// What takes the place of a type whose blocks do not divide the rows.
WeightType narrower(WeightType type) {
    switch (type) {
        case WeightType::q2_k:
        case WeightType::q3_k:
            return WeightType::q4_0;
        case WeightType::q4_k:
            return WeightType::q5_0;
        case WeightType::q5_k:
            return WeightType::q5_1;
        case WeightType::q6_k:
            return WeightType::q8_0;
        default:
            return WeightType::iq4_nl;
    }
}

bool ends_with(std::string_view name, std::string_view end) {
    return name.size() >= end.size() && name.substr(name.size() - end.size()) == end;
}

}  // namespace

std::optional<Scheme> scheme_from_name(std::string_view name) {
    Scheme scheme;
    scheme.name = name;
    for (const GgufScheme& known : kGgufSchemes) {
        if (known.name != name) continue;
        scheme.body = known.body;
        scheme.file_type = known.file_type;
        return scheme;
    }
    for (const MobileScheme& known : kMobileSchemes) {
        if (known.name != name) continue;
        scheme.container = Container::mobile;
        scheme.mobile_bits = known.bits;
        scheme.late_bits = known.late_bits;
        return scheme;
    }
    return std::nullopt;
}

const char* scheme_names() {
    return "gguf:q8_0 gguf:q6_k gguf:q5_k gguf:q4_k gguf:q4_0 gguf:iq4_nl gguf:iq4_xs gguf:q3_k "
           "gguf:q2_k mobile:w8 mobile:w4 mobile:w4w2";
}

Role role_of(std::string_view name) {
    if (name == "embed_tokens.weight" || name == "lm_head.weight") return Role::embedding;
    if (name == "embed_tokens_per_layer.weight") return Role::ple_table;
    if (name == "per_layer_model_projection.weight") return Role::ple_context;
    if (ends_with(name, "norm.weight") || ends_with(name, "router.proj.weight")) return Role::other;
    if (ends_with(name, "v_proj.weight")) return Role::attention_v;
    if (ends_with(name, "o_proj.weight")) return Role::attention_output;
    if (ends_with(name, "down_proj.weight") || ends_with(name, "down_proj")) return Role::down;
    for (const char* end : {"gate_proj.weight", "up_proj.weight", "experts.up_proj",
                            "experts.gate_proj", "experts.gate_up_proj"}) {
        if (ends_with(name, end)) return Role::feed_forward;
    }
    for (const char* end : {"_proj.weight", "_projection.weight", "_gate.weight"}) {
        if (ends_with(name, end)) return Role::matrix;
    }
    return Role::other;
}

WeightType gguf_type(const Scheme& scheme, const ModelConfig& config, Role role, size_t layer,
                     size_t n_cols) {
    WeightType type = scheme.body;
    if (role == Role::other) return WeightType::f32;
    if (role == Role::ple_context) return WeightType::bf16;
    if (role == Role::embedding || role == Role::ple_table) {
        type = scheme.body == WeightType::q8_0 ? WeightType::q8_0 : WeightType::q6_k;
        // In the smallest file the bytes of so large a table are better spent on the matrices.
        if (scheme.body == WeightType::q2_k && role == Role::ple_table) type = WeightType::q4_k;
    } else {
        type = mixed_type(scheme, config, role, layer);
    }
    if (n_cols % weight_type_info(type).block_weights != 0) type = narrower(type);
    return n_cols % weight_type_info(type).block_weights == 0 ? type : WeightType::bf16;
}

}  // namespace gemlet

// Hugging Face tensor names to GGUF names. Source: the GGUF specification's tensor tables for
// architecture "gemma4".
#include <array>
#include <string>
#include <string_view>

#include "core/model/checkpoint.h"

namespace gemlet {
namespace {

struct Rename {
    std::string_view hugging_face;
    std::string_view gguf;
};

constexpr std::array kModelNames = {
    Rename{"embed_tokens.weight", "token_embd.weight"},
    Rename{"lm_head.weight", "output.weight"},
    Rename{"norm.weight", "output_norm.weight"},
    Rename{"embed_tokens_per_layer.weight", "per_layer_token_embd.weight"},
    Rename{"per_layer_model_projection.weight", "per_layer_model_proj.weight"},
    Rename{"per_layer_projection_norm.weight", "per_layer_proj_norm.weight"},
};

constexpr std::array kLayerNames = {
    Rename{"input_layernorm.weight", "attn_norm.weight"},
    Rename{"self_attn.q_proj.weight", "attn_q.weight"},
    Rename{"self_attn.k_proj.weight", "attn_k.weight"},
    Rename{"self_attn.v_proj.weight", "attn_v.weight"},
    Rename{"self_attn.qkv_proj.weight", "attn_qkv.weight"},
    Rename{"self_attn.o_proj.weight", "attn_output.weight"},
    Rename{"self_attn.q_norm.weight", "attn_q_norm.weight"},
    Rename{"self_attn.k_norm.weight", "attn_k_norm.weight"},
    Rename{"post_attention_layernorm.weight", "post_attention_norm.weight"},
    Rename{"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
    Rename{"mlp.gate_proj.weight", "ffn_gate.weight"},
    Rename{"mlp.up_proj.weight", "ffn_up.weight"},
    Rename{"mlp.down_proj.weight", "ffn_down.weight"},
    Rename{"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
    Rename{"layer_scalar", "layer_output_scale.weight"},
    Rename{"per_layer_input_gate.weight", "inp_gate.weight"},
    Rename{"per_layer_projection.weight", "proj.weight"},
    Rename{"post_per_layer_input_norm.weight", "post_norm.weight"},
    Rename{"router.proj.weight", "ffn_gate_inp.weight"},
    Rename{"router.scale", "ffn_gate_inp.scale"},
    Rename{"router.per_expert_scale", "ffn_down_exps.scale"},
    Rename{"pre_feedforward_layernorm_2.weight", "pre_ffw_norm_2.weight"},
    Rename{"post_feedforward_layernorm_1.weight", "post_ffw_norm_1.weight"},
    Rename{"post_feedforward_layernorm_2.weight", "post_ffw_norm_2.weight"},
    Rename{"experts.gate_up_proj", "ffn_gate_up_exps.weight"},
    Rename{"experts.gate_proj", "ffn_gate_exps.weight"},
    Rename{"experts.up_proj", "ffn_up_exps.weight"},
    Rename{"experts.down_proj", "ffn_down_exps.weight"},
};

}  // namespace

std::string gguf_tensor_name(std::string_view name) {
    for (const Rename& rename : kModelNames) {
        if (rename.hugging_face == name) return std::string(rename.gguf);
    }
    constexpr std::string_view kLayers = "layers.";
    if (name.substr(0, kLayers.size()) != kLayers) return {};
    const std::string_view rest = name.substr(kLayers.size());
    const size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return {};
    for (const Rename& rename : kLayerNames) {
        if (rename.hugging_face == rest.substr(dot + 1)) {
            return "blk." + std::string(rest.substr(0, dot + 1)) + std::string(rename.gguf);
        }
    }
    return {};
}

std::string hugging_face_tensor_name(std::string_view name) {
    for (const Rename& rename : kModelNames) {
        if (rename.gguf == name) return std::string(rename.hugging_face);
    }
    constexpr std::string_view kBlocks = "blk.";
    if (name.substr(0, kBlocks.size()) != kBlocks) return {};
    const std::string_view rest = name.substr(kBlocks.size());
    const size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return {};
    for (const Rename& rename : kLayerNames) {
        if (rename.gguf == rest.substr(dot + 1)) {
            return "layers." + std::string(rest.substr(0, dot + 1)) +
                   std::string(rename.hugging_face);
        }
    }
    return {};
}

}  // namespace gemlet

#include "tests/vision/tiny_mmproj.h"

#include <random>

#include "tests/core/gguf_writer.h"

namespace gemlet::test {
namespace {

constexpr uint32_t kBoolean = 7;
constexpr uint64_t kWidth = 32;
constexpr uint64_t kInner = 64;
constexpr uint64_t kHead = 16;
constexpr uint64_t kSide = 16;
constexpr uint64_t kAlign = 32;

TinyMmproj common(const char* projector, size_t text_width) {
    TinyMmproj out;
    out.set_text("general.architecture", "clip");
    out.metadata["clip.has_vision_encoder"] =
        gguf_scalar<uint8_t>("clip.has_vision_encoder", kBoolean, 1);
    out.set_text("clip.vision.projector_type", projector);
    out.set("clip.vision.projection_dim", static_cast<uint32_t>(text_width));
    out.set("clip.vision.patch_size", kSide);
    out.set("clip.vision.embedding_length", kWidth);
    out.add("v.position_embd.weight", {kWidth, kTinyPositions, 2});
    out.add("mm.input_projection.weight", {kWidth, text_width});
    return out;
}

}  // namespace

void TinyMmproj::set(const std::string& key, uint32_t value) {
    metadata[key] = gguf_u32(key, value);
}
void TinyMmproj::set_text(const std::string& key, const std::string& value) {
    metadata[key] = gguf_text(key, value);
}

void TinyMmproj::add(const std::string& name, std::vector<uint64_t> dims) {
    size_t n = 1;
    for (const uint64_t dim : dims) n *= dim;
    std::mt19937 random(static_cast<uint32_t>(tensors.size() + 1));
    TinyGgufTensor tensor{std::move(dims), std::vector<float>(n)};
    for (float& value : tensor.values) {
        value = static_cast<float>(random() >> 8U) * 0x1p-24F - 0.4F;
    }
    tensors[name] = std::move(tensor);
}

std::string TinyMmproj::bytes() const {
    GgufWriter writer;
    for (const auto& [key, entry] : metadata) writer.values.push_back(entry);
    std::string data;
    for (const auto& [name, tensor] : tensors) {
        writer.tensors.push_back({name, tensor.dims, 0, data.size()});
        for (const float value : tensor.values) data += ByteWriter().put(value).bytes();
        while (data.size() % kAlign != 0) data += '\0';
    }
    std::string file = writer.bytes();
    while (file.size() % kAlign != 0) file += '\0';
    return file + data;
}

TinyMmproj tiny_transformer(size_t text_width) {
    TinyMmproj out = common("gemma4v", text_width);
    out.set("clip.vision.feed_forward_length", kInner);
    out.set("clip.vision.block_count", 1);
    out.set("clip.vision.attention.head_count", kWidth / kHead);
    out.add("v.patch_embd.weight", {kSide, kSide, 3, kWidth});
    for (const char* name : {"ln1", "ln2", "attn_post_norm", "ffn_post_norm"}) {
        out.add(std::string("v.blk.0.") + name + ".weight", {kWidth});
    }
    for (const char* name : {"attn_q_norm", "attn_k_norm"}) {
        out.add(std::string("v.blk.0.") + name + ".weight", {kHead});
    }
    for (const char* name :
         {"attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down"}) {
        const std::string module = std::string("v.blk.0.") + name;
        const bool grows =
            module.find("gate") != std::string::npos || module.find("up") != std::string::npos;
        const bool shrinks = module.find("down") != std::string::npos;
        out.add(module + ".weight", {shrinks ? kInner : kWidth, grows ? kInner : kWidth});
        for (const char* bound : {"input_min", "input_max", "output_min", "output_max"}) {
            const bool low = std::string(bound).find("min") != std::string::npos;
            out.tensors[module + "." + bound] = {{1}, {low ? -0.5F : 0.75F}};
        }
    }
    return out;
}

TinyMmproj tiny_embedder(size_t text_width) {
    TinyMmproj out = common("gemma4uv", text_width);
    const uint64_t dim = 9 * kSide * kSide * 3;
    out.set("clip.vision.block_count", 0);
    out.add("v.patch_embd.weight", {dim, kWidth});
    out.add("v.patch_embd.bias", {kWidth});
    for (const auto& [name, n] : {std::pair{"1", dim}, {"2", kWidth}, {"3", kWidth}}) {
        out.add(std::string("v.patch_norm.") + name + ".weight", {n});
        out.add(std::string("v.patch_norm.") + name + ".bias", {n});
    }
    return out;
}

}  // namespace gemlet::test

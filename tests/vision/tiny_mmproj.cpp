#include "tests/vision/tiny_mmproj.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/files/gguf_parse.h"
#include "quant/formats/dequantize.h"
#include "quant/formats/quantize.h"
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

namespace {

uint32_t gguf_number(WeightType type) {
    if (type == WeightType::q4_0) return 2;
    return type == WeightType::q8_0 ? 8 : 0;
}

std::string tensor_bytes(const TinyGgufTensor& tensor) {
    const size_t n_cols = tensor.dims[0];
    const size_t stride = row_bytes(tensor.type, n_cols);
    std::string out(tensor.values.size() / n_cols * stride, '\0');
    auto* to = reinterpret_cast<uint8_t*>(out.data());
    for (size_t at = 0; at < tensor.values.size(); at += n_cols, to += stride) {
        EXPECT_TRUE(quantize_row(tensor.type, tensor.values.data() + at, n_cols, to));
    }
    return out;
}

void pad(std::string& bytes) { bytes.resize((bytes.size() + kAlign - 1) / kAlign * kAlign, '\0'); }

/// Entries and data of all tensors; offsets begin at `offset`.
std::string lay_out(const TinyMmproj& file, uint64_t offset,
                    std::vector<GgufTensorEntry>& entries) {
    std::string data;
    for (const auto& [name, tensor] : file.tensors) {
        entries.push_back({name, tensor.dims, gguf_number(tensor.type), offset + data.size()});
        data += tensor_bytes(tensor);
        pad(data);
    }
    return data;
}

}  // namespace

std::string TinyMmproj::bytes() const {
    GgufWriter writer;
    for (const auto& [key, entry] : metadata) writer.values.push_back(entry);
    const std::string data = lay_out(*this, 0, writer.tensors);
    std::string file = writer.bytes();
    pad(file);
    return file + data;
}

std::string TinyMmproj::bytes_beside(const std::string& model) const {
    constexpr size_t kHeader = 24;  // magic, version, numbers of tensors and of values
    const auto parsed = parse_gguf(as_bytes(model), "model", 0);
    EXPECT_TRUE(parsed.has_value());
    // The directory begins with the first tensor's name; its entries are as long as they are.
    size_t begin = model.size();
    size_t n_bytes = 0;
    size_t data_begin = model.size();
    for (const TensorView& tensor : parsed->tensors) {
        const std::string name = ByteWriter().put_string(tensor.name).bytes();
        begin = std::min(begin, model.find(name));
        n_bytes += name.size() + 4 + 8 * tensor.n_dims + 4 + 8;
        data_begin = std::min(
            data_begin,
            static_cast<size_t>(reinterpret_cast<const char*>(tensor.bytes.data()) - model.data()));
    }
    std::string old_data = model.substr(data_begin);
    pad(old_data);
    GgufWriter added;
    for (const auto& [key, entry] : metadata) added.values.push_back(entry);
    const std::string values = [&] {
        GgufWriter alone;
        alone.values = added.values;
        return alone.bytes().substr(kHeader);
    }();
    const std::string data = lay_out(*this, old_data.size(), added.tensors);
    added.values.clear();
    const std::string entries = added.bytes().substr(kHeader);
    ByteWriter header;
    header.put_bytes(model.substr(0, 8));
    header.put<uint64_t>(parsed->tensors.size() + tensors.size());
    header.put<uint64_t>(parsed->values.size() + metadata.size());
    std::string file = header.bytes() + model.substr(kHeader, begin - kHeader) + values +
                       model.substr(begin, n_bytes) + entries;
    pad(file);
    return file + old_data + data;
}

QuantisedMmproj quantised(const TinyMmproj& file, WeightType type) {
    QuantisedMmproj out{file, file};
    for (auto& [name, tensor] : out.blocks.tensors) {
        const bool is_matrix = tensor.dims.size() == 2 && name != "v.position_embd.weight";
        if (!is_matrix) continue;
        tensor.type = type;
        const std::string rows = tensor_bytes(tensor);
        const size_t n_cols = tensor.dims[0];
        float* to = out.floats.tensors[name].values.data();
        const size_t stride = row_bytes(type, n_cols);
        for (size_t at = 0; at < rows.size(); at += stride, to += n_cols) {
            dequantize_row(type, reinterpret_cast<const uint8_t*>(rows.data() + at), n_cols, to);
        }
    }
    return out;
}

TinyMmproj in_model_dialect(const TinyMmproj& file) {
    TinyMmproj out;
    const std::string prefix = "clip.vision.";
    for (const char* key : {"block_count", "embedding_length", "attention.head_count",
                            "feed_forward_length", "patch_size"}) {
        const std::string& entry = file.metadata.at(prefix + key);
        // The number stands behind the key, which stands behind its length.
        const std::string value = entry.substr(8 + prefix.size() + std::string(key).size());
        const std::string name = std::string("gemma4.vision.") + key;
        out.metadata[name] = ByteWriter().put_string(name).put_bytes(value).bytes();
    }
    out.set("gemma4.vision.num_channels", 3);
    out.set("gemma4.vision.projector.scale_factor", 3);
    std::vector<float> bounds;
    for (const char* name :
         {"attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down"}) {
        for (const char* bound : {"input_min", "input_max", "output_min", "output_max"}) {
            const auto& tensor = file.tensors.at(std::string("v.blk.0.") + name + "." + bound);
            bounds.push_back(tensor.values[0]);
        }
    }
    bounds.insert(bounds.end(), {0, 0, 0, 0});  // none for the projector
    for (const auto& [name, tensor] : file.tensors) {
        if (name.find("put_m") == std::string::npos) out.tensors[name] = tensor;
    }
    out.tensors["v.clamp_data"] = {{bounds.size()}, bounds};
    return out;
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

// Audio encoders made up for the test: both dialects of GGUF files, files that are wrong on
// purpose, sounds that do not fit, the limits of what a position hears, memory.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "core/audio/audio_encoder.h"
#include "tests/core/count_every_allocation.h"
#include "tests/core/gguf_writer.h"
#include "tests/core/temp_tree.h"
#include "tests/vision/tiny_mmproj.h"
#include "tests/vision/vision_cases.h"

namespace gemlet::test {
namespace {

constexpr uint32_t kBoolean = 7;
constexpr uint64_t kWidth = 32;
constexpr uint64_t kInner = 64;
constexpr uint64_t kHead = 16;
constexpr uint64_t kFirst = 4;  // channels
constexpr uint64_t kSecond = 2;
constexpr uint64_t kOutput = 24;
constexpr const char* kLinearNames[] = {"attn_q",   "attn_k",   "attn_v",   "attn_out",
                                        "ffn_up",   "ffn_down", "ffn_up_1", "ffn_down_1",
                                        "conv_pw1", "conv_pw2"};

TinyMmproj common(const char* projector, size_t text_width) {
    TinyMmproj out;
    out.set_text("general.architecture", "clip");
    out.metadata["clip.has_audio_encoder"] =
        gguf_scalar<uint8_t>("clip.has_audio_encoder", kBoolean, 1);
    out.set_text("clip.audio.projector_type", projector);
    out.set("clip.audio.projection_dim", static_cast<uint32_t>(text_width));
    return out;
}

/// A conformer of one layer, with bounds on its linears.
TinyMmproj tiny_conformer(size_t text_width) {
    TinyMmproj out = common("gemma4a", text_width);
    out.set("clip.audio.embedding_length", kWidth);
    out.set("clip.audio.feed_forward_length", kInner);
    out.set("clip.audio.block_count", 1);
    out.set("clip.audio.attention.head_count", kWidth / kHead);
    out.set("clip.audio.num_mel_bins", kMelBins);
    out.add("a.conv1d.0.weight", {3, 3, 1, kFirst});
    out.add("a.conv1d.0.norm.weight", {kFirst});
    out.add("a.conv1d.1.weight", {3, 3, kFirst, kSecond});
    out.add("a.conv1d.1.norm.weight", {kSecond});
    out.add("a.input_projection.weight", {kSecond * 32, kWidth});
    for (const char* name : {"ffn_norm", "ffn_post_norm", "ffn_norm_1", "ffn_post_norm_1",
                             "attn_pre_norm", "attn_post_norm", "conv_norm", "norm_conv", "ln2"}) {
        out.add(std::string("a.blk.0.") + name + ".weight", {kWidth});
    }
    for (const std::string name : kLinearNames) {
        const std::string module = "a.blk.0." + name;
        const bool grows = name.find("up") != std::string::npos || name == "conv_pw1";
        const bool shrinks = name.find("down") != std::string::npos;
        out.add(module + ".weight", {shrinks ? kInner : kWidth, grows ? kInner : kWidth});
        for (const char* bound : {"input_min", "input_max", "output_min", "output_max"}) {
            const bool low = std::string(bound).find("min") != std::string::npos;
            out.tensors[module + "." + bound] = {{1}, {low ? -0.9F : 0.8F}};
        }
    }
    out.add("a.blk.0.attn_k_rel.weight", {kWidth, kWidth});
    out.add("a.blk.0.per_dim_scale.weight", {kHead});
    out.add("a.blk.0.conv_dw.weight", {kAudioTaps, kWidth});
    out.add("a.pre_encode.out.weight", {kWidth, kOutput});
    out.add("a.pre_encode.out.bias", {kOutput});
    out.add("mm.a.input_projection.weight", {kOutput, text_width});
    return out;
}

/// The same encoder as the second dialect names it, where two names change their meaning.
TinyMmproj second_dialect(const TinyMmproj& file) {
    TinyMmproj out = file;
    const auto rename = [&](const std::string& from, const std::string& to) {
        auto node = out.tensors.extract(from);
        node.key() = to;
        out.tensors.insert(std::move(node));
    };
    rename("a.blk.0.attn_pre_norm.weight", "a.blk.0.ln1.weight");
    rename("a.blk.0.ln2.weight", "a.blk.0.layer_pre_norm.weight");
    rename("a.blk.0.attn_post_norm.weight", "a.blk.0.ln2.weight");
    rename("a.blk.0.attn_k_rel.weight", "a.blk.0.linear_pos.weight");
    rename("a.pre_encode.out.weight", "mm.a.fc.weight");
    rename("a.pre_encode.out.bias", "mm.a.fc.bias");
    rename("a.input_projection.weight", "a.pre_encode.out.weight");
    out.metadata.clear();
    out.set_text("general.architecture", "gemma4");
    out.set("gemma4.audio.embedding_length", kWidth);
    out.set("gemma4.audio.feed_forward_length", kInner);
    out.set("gemma4.audio.block_count", 1);
    out.set("gemma4.audio.attention.head_count", kWidth / kHead);
    out.set("gemma4.audio.conv_kernel_size", kAudioTaps);
    return out;
}

std::vector<float> made_up_frames(size_t n, size_t width, uint32_t seed = 7) {
    std::mt19937 random(seed);
    std::vector<float> out(n * width);
    for (float& value : out) value = static_cast<float>(random() >> 8U) * 0x1p-22F - 3.0F;
    return out;
}

class Sound : public testing::Test {
  protected:
    void SetUp() override {
        RunOptions run;
        run.isa = has_isa(Isa::avx2) ? Isa::avx2 : Isa::scalar;
        run.context = 64;
        run.in_float = false;
        run.n_threads = 2;
        engine_ = open_engine(golden_qat_path(), run);
        ASSERT_NE(engine_, nullptr);
        text_width_ = engine_->config().d_model;
    }
    Result<std::unique_ptr<AudioEncoder>> open(const TinyMmproj& file,
                                               const AudioOptions& options = {}) {
        tree_.write("mmproj.gguf", file.bytes());
        return AudioEncoder::open(*engine_, tree_.path("mmproj.gguf"), options);
    }
    std::vector<float> soft_of(AudioEncoder& encoder, std::span<const float> frames) {
        const AudioConfig& config = encoder.config();
        const size_t n_frames = frames.size() / config.frame_width;
        std::vector<float> soft(config.soft_tokens(n_frames) * text_width_);
        const auto n = encoder.encode(frames, n_frames, soft);
        EXPECT_TRUE(n.has_value()) << n.error().message();
        return soft;
    }
    std::vector<float> soft_of(const TinyMmproj& file, std::span<const float> frames,
                               const AudioOptions& options = {}) {
        auto encoder = open(file, options);
        if (encoder) return soft_of(**encoder, frames);
        ADD_FAILURE() << encoder.error().message();
        return {};
    }
    void expect_fault(const TinyMmproj& file, StatusCode code, const std::string& part) {
        const auto encoder = open(file);
        ASSERT_FALSE(encoder.has_value()) << part;
        EXPECT_EQ(encoder.error().code(), code) << encoder.error().message();
        EXPECT_NE(encoder.error().message().find(part), std::string::npos)
            << encoder.error().message();
    }

    TempTree tree_;
    std::unique_ptr<Engine> engine_;
    size_t text_width_ = 0;
};

TEST_F(Sound, reads_both_dialects_of_gguf) {
    const std::vector<float> frames = made_up_frames(70, kMelBins);
    TinyMmproj file = tiny_conformer(text_width_);
    const std::vector<float> soft = soft_of(file, frames);
    EXPECT_TRUE(same_bits(soft_of(second_dialect(file), frames), soft));
    // Optional tensors that do nothing, and then something.
    file.tensors["mm.a.soft_emb_norm.weight"] = {{kOutput}, std::vector<float>(kOutput, 1.0F)};
    file.tensors["a.blk.0.per_dim_k_scale.weight"] = {{kHead}, std::vector<float>(kHead, 1.0F)};
    EXPECT_TRUE(same_bits(soft_of(file, frames), soft));
    file.tensors["mm.a.soft_emb_norm.weight"].values[3] = 2.0F;
    EXPECT_FALSE(same_bits(soft_of(file, frames), soft));
    file.tensors["mm.a.soft_emb_norm.weight"].values[3] = 1.0F;
    file.tensors["a.blk.0.per_dim_k_scale.weight"].values[3] = 2.0F;
    EXPECT_FALSE(same_bits(soft_of(file, frames), soft));
}

TEST_F(Sound, obeys_every_bound_and_tensor) {
    const std::vector<float> frames = made_up_frames(40, kMelBins);
    const TinyMmproj file = tiny_conformer(text_width_);
    const std::vector<float> soft = soft_of(file, frames);
    for (const auto& [name, tensor] : file.tensors) {
        TinyMmproj changed = file;
        std::vector<float>& values = changed.tensors[name].values;
        if (name.find("put_m") != std::string::npos) {
            values[0] = values[0] < 0 ? 0.79F : -0.89F;  // next to nothing passes
        } else {
            for (size_t i = 0; i < values.size(); ++i) values[i] *= i % 2 == 0 ? 0.5F : 0.7F;
        }
        EXPECT_FALSE(same_bits(soft_of(changed, frames), soft)) << name;
    }
}

TEST_F(Sound, hears_what_the_architecture_lets_it_hear) {
    auto encoder = open(tiny_conformer(text_width_));
    ASSERT_TRUE(encoder.has_value());
    const std::vector<float> frames = made_up_frames(240, kMelBins);
    const std::vector<float> soft = soft_of(**encoder, frames);
    // Token t needs frames 4 t - 3 .. 4 t + 3, in one layer those of t - 15 .. t: the window of 12
    // and then the taps.
    for (const size_t frame : {0U, 3U, 4U, 100U, 101U, 239U}) {
        std::vector<float> changed = frames;
        changed[frame * kMelBins + 60] += 1.0F;
        const std::vector<float> other = soft_of(**encoder, changed);
        const size_t first = frame / 4;
        const size_t last = (frame + 3) / 4 + kAudioWindow - 1 + kAudioTaps - 1;
        for (size_t token = 0; token < 60; ++token) {
            const size_t at = token * text_width_;
            const bool same = same_bits(std::span(other).subspan(at, text_width_),
                                        std::span(soft).subspan(at, text_width_));
            if (token < first || token > last) {
                EXPECT_TRUE(same) << frame << " " << token;
            } else if (token == first) {
                EXPECT_FALSE(same) << frame << " " << token;
            }
        }
    }
}

TEST_F(Sound, gives_the_same_bits_in_pieces_of_any_size) {
    for (const bool raw : {false, true}) {
        TinyMmproj file = tiny_conformer(text_width_);
        if (raw) {
            file = common("gemma4ua", text_width_);
            file.add("mm.a.input_projection.weight", {kSamplesPerAudioToken, text_width_});
        }
        auto whole = open(file);
        auto small = open(file, {.max_frames = 5});
        ASSERT_TRUE(whole.has_value() && small.has_value());
        const size_t width = (*whole)->config().frame_width;
        for (size_t n_frames = 1; n_frames < 150; n_frames += n_frames < 12 ? 1 : 37) {
            const std::vector<float> frames = made_up_frames(n_frames, width);
            const std::vector<float> soft = soft_of(**whole, frames);
            for (AudioEncoder* encoder : {whole->get(), small->get()}) {
                std::mt19937 random(5);
                std::vector<float> got(soft.size() + text_width_);
                size_t n_soft = 0;
                size_t at = 0;
                for (bool last = false; !last;) {
                    const size_t n = std::min<size_t>(random() % 9, n_frames - at);
                    // The end may come with the last frames or alone.
                    last = at + n == n_frames && random() % 2 == 0;
                    const size_t expected = encoder->pending_tokens(n, last);
                    const auto done =
                        encoder->push(std::span(frames).subspan(at * width, n * width), n, last,
                                      std::span(got).subspan(n_soft * text_width_));
                    ASSERT_TRUE(done.has_value()) << done.error().message();
                    EXPECT_EQ(*done, expected);
                    n_soft += *done;
                    at += n;
                }
                ASSERT_EQ(n_soft * text_width_, soft.size());
                got.resize(soft.size());
                EXPECT_TRUE(same_bits(got, soft)) << n_frames;
            }
        }
    }
}

TEST_F(Sound, forgets_a_sound_at_its_end_and_when_told) {
    auto opened = open(tiny_conformer(text_width_));
    ASSERT_TRUE(opened.has_value());
    AudioEncoder& encoder = **opened;
    const std::vector<float> frames = made_up_frames(8, kMelBins);
    const std::vector<float> soft = soft_of(encoder, frames);
    std::vector<float> got(soft.size());
    const std::vector<float> others = made_up_frames(30, kMelBins, 8);
    std::vector<float> unused(8 * text_width_);
    EXPECT_EQ(*encoder.push(others, 30, false, unused), 7U);
    encoder.reset();
    EXPECT_EQ(*encoder.push(frames, 8, true, got), 2U);
    EXPECT_TRUE(same_bits(got, soft));
    EXPECT_EQ(*encoder.push(frames, 8, true, got), 2U);
    EXPECT_TRUE(same_bits(got, soft));
    EXPECT_EQ(*encoder.push({}, 0, true, {}), 0U);  // nothing at all
}

TEST_F(Sound, refuses_hostile_files) {
    struct Case {
        std::function<void(TinyMmproj&)> change;
        StatusCode code;
        const char* part;
    };
    const auto set = [](const char* key, uint32_t value) {
        return [=](TinyMmproj& file) { file.set(std::string("clip.audio.") + key, value); };
    };
    const auto erase = [](const char* name) {
        return [=](TinyMmproj& file) { file.tensors.erase(name); };
    };
    const auto reshape = [](const char* name, std::vector<uint64_t> dims) {
        return [=](TinyMmproj& file) { file.add(name, dims); };
    };
    const auto value = [](const char* name, float number) {
        return [=](TinyMmproj& file) { file.tensors[name].values[0] = number; };
    };
    constexpr uint32_t kHuge = 0xFFFFFFFF;
    const Case cases[] = {
        {set("block_count", kHuge), StatusCode::corrupt, "num_hidden_layers"},
        {set("block_count", 0), StatusCode::corrupt, "num_hidden_layers"},
        {set("block_count", 2), StatusCode::not_found, "a.blk.1"},
        {set("embedding_length", kHuge - 15), StatusCode::corrupt, "hidden_size"},
        {set("embedding_length", 0), StatusCode::corrupt, "hidden_size"},
        {set("embedding_length", 64), StatusCode::corrupt, "a."},
        {set("feed_forward_length", kHuge), StatusCode::corrupt, "feed_forward_length"},
        {set("feed_forward_length", 0), StatusCode::corrupt, "feed_forward_length"},
        {set("attention.head_count", 0), StatusCode::corrupt, "num_attention_heads"},
        {set("attention.head_count", 5), StatusCode::corrupt, "num_attention_heads"},
        {set("attention.head_count", 1), StatusCode::corrupt, "per_dim_scale"},
        {set("num_mel_bins", 80), StatusCode::unsupported, "num_mel_bins"},
        {set("projection_dim", 7), StatusCode::corrupt, "projection_dim"},
        {erase("a.conv1d.0.weight"), StatusCode::corrupt, "subsampling_conv_channels"},
        {erase("a.conv1d.1.norm.weight"), StatusCode::not_found, "a.conv1d.1.norm"},
        {erase("a.blk.0.attn_k_rel.weight"), StatusCode::not_found, "attn_k_rel"},
        {erase("a.blk.0.conv_dw.weight"), StatusCode::not_found, "conv_dw"},
        {erase("a.blk.0.per_dim_scale.weight"), StatusCode::not_found, "per_dim_scale"},
        {erase("a.pre_encode.out.bias"), StatusCode::not_found, "a.pre_encode.out.bias"},
        {erase("mm.a.input_projection.weight"), StatusCode::corrupt, "output_proj_dims"},
        {reshape("a.conv1d.0.weight", {3, 3, 2, 4}), StatusCode::corrupt, "a.conv1d.0"},
        {reshape("a.conv1d.1.weight", {3, 3, 4, 5000}), StatusCode::corrupt, "subsampling"},
        {reshape("a.conv1d.1.weight", {3, 3}), StatusCode::corrupt, "a.conv1d.1"},
        {reshape("a.blk.0.attn_q.weight", {32, 31}), StatusCode::corrupt, "attn_q"},
        {reshape("a.blk.0.conv_pw1.weight", {32, 32}), StatusCode::corrupt, "conv_pw1"},
        {reshape("a.blk.0.conv_dw.weight", {4, 32}), StatusCode::corrupt, "conv_dw"},
        {reshape("a.blk.0.conv_dw.weight", {160}), StatusCode::corrupt, "conv_dw"},
        {reshape("a.blk.0.ln2.weight", {31}), StatusCode::corrupt, "ln2"},
        {reshape("a.blk.0.attn_q.input_min", {2}), StatusCode::corrupt, "input_min"},
        {value("a.blk.0.conv_dw.weight", INFINITY), StatusCode::corrupt, "conv_dw"},
        {value("a.conv1d.1.weight", NAN), StatusCode::corrupt, "a.conv1d.1"},
        {value("a.blk.0.ln2.weight", NAN), StatusCode::corrupt, "ln2"},
        {value("a.blk.0.attn_q.input_min", NAN), StatusCode::corrupt, "input_min"},
        {value("a.blk.0.attn_q.input_min", 9.0F), StatusCode::corrupt, "attn_q"},
        {[](TinyMmproj& file) { file.set_text("clip.audio.projector_type", "ultravox"); },
         StatusCode::unsupported, "ultravox"},
        {[](TinyMmproj& file) { file.metadata.erase("clip.audio.projector_type"); },
         StatusCode::corrupt, "projector_type"},
        {[](TinyMmproj& file) { file.metadata.erase("clip.has_audio_encoder"); },
         StatusCode::not_found, "has_audio_encoder"},
        {[](TinyMmproj& file) { file.metadata.erase("clip.audio.block_count"); },
         StatusCode::corrupt, "block_count"},
        {[](TinyMmproj& file) { file.set_text("clip.audio.projector_type", "gemma4ua"); },
         StatusCode::unsupported, "audio_embed_dim"},
    };
    for (const Case& entry : cases) {
        TinyMmproj file = tiny_conformer(text_width_);
        entry.change(file);
        expect_fault(file, entry.code, entry.part);
    }
    const std::string whole = tiny_conformer(text_width_).bytes();
    for (size_t size = 0; size < whole.size(); size += 1997) {
        tree_.write("cut.gguf", whole.substr(0, size));
        EXPECT_FALSE(AudioEncoder::open(*engine_, tree_.path("cut.gguf"), {}).has_value()) << size;
    }
}

TEST_F(Sound, refuses_other_architectures_in_config_json) {
    const auto config = [&](const std::string& members) {
        const auto document =
            parse_json("{\"model_type\":\"gemma4\",\"audio_config\":{" + members + "}}");
        EXPECT_TRUE(document.has_value());
        return audio_config_from_json(*document, 64);
    };
    const auto plain = config("\"hidden_size\":64,\"num_attention_heads\":2");
    ASSERT_TRUE(plain.has_value()) << plain.error().message();
    EXPECT_EQ(plain->ffn_width, 256U);
    EXPECT_EQ(plain->soft_tokens(kMaxMelFrames), kMaxAudioTokens);
    for (const char* other :
         {"\"attention_chunk_size\":24", "\"attention_context_left\":12",
          "\"attention_context_right\":1", "\"attention_logit_cap\":30", "\"conv_kernel_size\":7",
          "\"residual_weight\":1", "\"rms_norm_eps\":1e-5", "\"hidden_act\":\"gelu\"",
          "\"gradient_clipping\":10"}) {
        const auto refused = config(other);
        ASSERT_FALSE(refused.has_value()) << other;
        EXPECT_EQ(refused.error().code(), StatusCode::unsupported) << other;
    }
    for (const char* broken :
         {"\"hidden_size\":0", "\"hidden_size\":1e9", "\"num_attention_heads\":3",
          "\"num_hidden_layers\":-1", "\"num_hidden_layers\":\"x\"",
          "\"subsampling_conv_channels\":[128]", "\"subsampling_conv_channels\":[1.5,2]",
          "\"subsampling_conv_channels\":[128,0]", "\"subsampling_conv_channels\":[1e300,1]",
          "\"output_proj_dims\":0"}) {
        const auto refused = config(broken);
        ASSERT_FALSE(refused.has_value()) << broken;
        EXPECT_EQ(refused.error().code(), StatusCode::corrupt) << broken;
    }
}

TEST_F(Sound, refuses_sounds_that_do_not_fit) {
    auto opened = open(tiny_conformer(text_width_), {.max_frames = 24});
    ASSERT_TRUE(opened.has_value()) << opened.error().message();
    AudioEncoder& encoder = **opened;
    std::vector<float> frames = made_up_frames(24, kMelBins);
    std::vector<float> soft(6 * text_width_);
    std::vector<float> encoded(6 * kOutput);
    EXPECT_TRUE(encoder.encode(frames, 24, soft, encoded).has_value());
    const auto refused = [](const Result<size_t>& n) {
        return !n && n.error().code() == StatusCode::bad_argument;
    };
    EXPECT_TRUE(refused(encoder.encode({}, 0, soft)));
    EXPECT_TRUE(refused(encoder.encode(frames, 23, soft)));
    EXPECT_TRUE(refused(encoder.encode(frames, SIZE_MAX, soft)));
    EXPECT_TRUE(refused(encoder.encode(made_up_frames(25, kMelBins), 25, soft)));
    EXPECT_TRUE(refused(encoder.encode(frames, 24, std::span(soft).first(soft.size() - 1))));
    EXPECT_TRUE(refused(encoder.encode(frames, 24, soft, std::span(encoded).first(7))));
    EXPECT_TRUE(refused(encoder.push(frames, 24, false, std::span(soft).first(text_width_))));
    EXPECT_EQ(encoder.pending_tokens(0, true), 0U);  // nothing was taken
    frames[100] = NAN;
    EXPECT_TRUE(refused(encoder.encode(frames, 24, soft)));
    EXPECT_TRUE(refused(encoder.push(frames, 24, false, soft)));
    frames[100] = 3e38F;  // finite, and far beyond what anything gives: no crash
    EXPECT_TRUE(encoder.encode(frames, 24, soft).has_value());
    EXPECT_FALSE(open(tiny_conformer(text_width_), {.max_frames = SIZE_MAX}).has_value());
}

TEST_F(Sound, allocates_nothing_after_opening) {
    if (!counts_allocations()) GTEST_SKIP() << "sanitizers replace the allocator";
    for (const auto precision : {TowerPrecision::in_float, TowerPrecision::int8}) {
        auto encoder = open(tiny_conformer(text_width_), {.precision = precision});
        ASSERT_TRUE(encoder.has_value());
        const std::vector<float> frames = made_up_frames(50, kMelBins);
        std::vector<float> soft(13 * text_width_);
        const size_t before = n_allocations();
        EXPECT_TRUE((*encoder)->encode(frames, 50, soft).has_value());
        EXPECT_TRUE((*encoder)->push(frames, 50, false, soft).has_value());
        EXPECT_EQ(n_allocations(), before);
    }
}

TEST_F(Sound, plans_memory_by_the_frames_at_once) {
    const TinyMmproj file = tiny_conformer(text_width_);
    const auto small = open(file, {.max_frames = 100});
    const auto large = open(file);
    ASSERT_TRUE(small.has_value() && large.has_value());
    EXPECT_EQ((*large)->max_frames(), kMaxMelFrames);
    EXPECT_LT((*small)->memory().resident_bytes, (*large)->memory().resident_bytes);
    const auto plan = plan_model(golden_qat_path(), engine_->options());
    ASSERT_TRUE(plan.has_value());
    const auto planned = plan_audio(*plan, tree_.path("mmproj.gguf"), {.max_frames = 100});
    ASSERT_TRUE(planned.has_value()) << planned.error().message();
    EXPECT_EQ(planned->resident_bytes, (*small)->memory().resident_bytes);
}

}  // namespace
}  // namespace gemlet::test

// Vision encoders made up for the test: other spellings of the same file, files that are wrong on
// purpose, pictures that do not fit, memory.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "tests/core/count_every_allocation.h"
#include "tests/core/gguf_writer.h"
#include "tests/core/temp_tree.h"
#include "tests/vision/tiny_mmproj.h"
#include "tests/vision/vision_cases.h"

namespace gemlet::test {
namespace {

class Vision : public testing::Test {
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
    Result<std::unique_ptr<VisionEncoder>> open(const TinyMmproj& file,
                                                const VisionOptions& options = {}) {
        tree_.write("mmproj.gguf", file.bytes());
        return VisionEncoder::open(*engine_, tree_.path("mmproj.gguf"), options);
    }
    std::vector<float> soft_of(const TinyMmproj& file, const PatchGrid& picture,
                               const VisionOptions& options = {}) {
        auto encoder = open(file, options);
        if (!encoder) {
            ADD_FAILURE() << encoder.error().message();
            return {};
        }
        return encode(**encoder, picture).soft;
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

TEST_F(Vision, reads_bounds_packed_in_one_vector) {
    const PatchGrid picture = made_up_picture(16, 3, 2, 3);
    TinyMmproj file = tiny_transformer(text_width_);
    const std::vector<float> separate = soft_of(file, picture);
    TinyMmproj packed = file;
    std::vector<float> bounds;
    for (auto at = packed.tensors.begin(); at != packed.tensors.end();) {
        const bool bound = at->first.find("put_m") != std::string::npos;
        at = bound ? packed.tensors.erase(at) : std::next(at);
    }
    const std::vector<float> unbounded = soft_of(packed, picture);
    EXPECT_FALSE(same_bits(unbounded, separate));
    for (size_t i = 0; i < 7; ++i) bounds.insert(bounds.end(), {-0.5F, 0.75F, -0.5F, 0.75F});
    bounds.insert(bounds.end(), {0, 0, 0, 0});  // none for the projector
    packed.tensors["v.clamp_data"] = {{bounds.size()}, bounds};
    EXPECT_TRUE(same_bits(soft_of(packed, picture), separate));
    packed.tensors["v.clamp_data"] = {{3}, {0, 1, 2}};
    expect_fault(packed, StatusCode::corrupt, "v.clamp_data");
}

TEST_F(Vision, reads_files_of_blocks) {
    const PatchGrid picture = made_up_picture(16, 3, 2, 3);
    const TinyMmproj file = tiny_transformer(text_width_);
    const VisionOptions in_float{.precision = TowerPrecision::in_float};
    for (const WeightType type : {WeightType::q8_0, WeightType::q4_0}) {
        SCOPED_TRACE(weight_type_info(type).name);
        const QuantisedMmproj written = quantised(file, type);
        const std::vector<float> exact = soft_of(written.floats, picture, in_float);
        EXPECT_FALSE(same_bits(soft_of(file, picture, in_float), exact));
        EXPECT_LT(relative_rms(soft_of(written.blocks, picture, in_float), exact), 1e-5);
        // Inputs in blocks of 32 bytes too: a step is 1/254 of the largest of each block.
        EXPECT_LT(relative_rms(soft_of(written.blocks, picture), exact), 2e-2);
        EXPECT_LT(relative_rms(
                      soft_of(written.blocks, picture, {.precision = TowerPrecision::int8}), exact),
                  4e-2);
    }
}

TEST_F(Vision, reads_encoders_inside_the_model_file) {
    const PatchGrid picture = made_up_picture(16, 3, 2, 3);
    const std::string text = GEMLET_TEST_DATA "/golden/e2b-tiny/q4_0.gguf";
    RunOptions run;
    run.isa = has_isa(Isa::avx2) ? Isa::avx2 : Isa::scalar;
    run.context = 64;
    const auto plain = open_engine(text, run);
    ASSERT_NE(plain, nullptr);
    const TinyMmproj file = tiny_transformer(plain->config().d_model);
    tree_.write("mmproj.gguf", file.bytes());
    const auto beside = open_encoder(*plain, tree_.path("mmproj.gguf"));
    ASSERT_NE(beside, nullptr);
    const auto none = VisionEncoder::open(*plain, "", {});
    EXPECT_EQ(none.error().code(), StatusCode::not_found);

    std::ifstream model(text, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(model), {}};
    tree_.write("whole.gguf", in_model_dialect(file).bytes_beside(bytes));
    const auto whole = open_engine(tree_.path("whole.gguf"), run);
    ASSERT_NE(whole, nullptr);
    const auto inside = open_encoder(*whole, "");
    ASSERT_NE(inside, nullptr);
    EXPECT_TRUE(same_bits(encode(*inside, picture).soft, encode(*beside, picture).soft));
}

TEST_F(Vision, obeys_mean_deviation_and_layer_scale) {
    const PatchGrid picture = made_up_picture(16, 3, 2, 2);
    TinyMmproj file = tiny_transformer(text_width_);
    const std::vector<float> plain = soft_of(file, picture);
    PatchGrid shifted = picture;
    for (float& value : shifted.values) value = value * 0.5F + 0.25F;
    const auto triple = [](const char* key, float value) {
        return gguf_array(key, 6, 3, ByteWriter().put(value).put(value).put(value).bytes());
    };
    file.metadata["mean"] = triple("clip.vision.image_mean", 0.25F);
    file.metadata["std"] = triple("clip.vision.image_std", 0.5F);
    EXPECT_LT(largest_difference(soft_of(file, shifted), plain), 1e-4);
    // A scale behind the last layer is taken out by the projector's norm, but not by its epsilon.
    file.tensors["v.blk.0.out_scale.weight"] = {{1}, {2.0F}};
    EXPECT_LT(relative_rms(soft_of(file, shifted), plain), 1e-3);
    file.metadata["std"] = triple("clip.vision.image_std", 0.0F);
    expect_fault(file, StatusCode::corrupt, "image_std");
}

TEST_F(Vision, opens_the_embedder_and_its_positions) {
    const TinyMmproj file = tiny_embedder(text_width_);
    const std::vector<float> soft = soft_of(file, made_up_picture(48, 1, 3, 4));
    EXPECT_EQ(soft.size(), 12 * text_width_);
    for (const float value : soft) EXPECT_TRUE(std::isfinite(value));
}

TEST_F(Vision, refuses_hostile_files) {
    using Change = std::function<void(TinyMmproj&)>;
    struct Case {
        Change change;
        StatusCode code;
        const char* part;
    };
    const auto set = [](const char* key, uint32_t value) {
        return [=](TinyMmproj& file) { file.set(std::string("clip.vision.") + key, value); };
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
        {set("block_count", 2), StatusCode::not_found, "v.blk.1"},
        {set("embedding_length", kHuge - 15), StatusCode::corrupt, "hidden_size"},
        {set("embedding_length", 0), StatusCode::corrupt, "hidden_size"},
        {set("embedding_length", 64), StatusCode::corrupt, "v."},
        {set("feed_forward_length", kHuge), StatusCode::corrupt, "intermediate_size"},
        {set("attention.head_count", 0), StatusCode::corrupt, "num_attention_heads"},
        {set("attention.head_count", 5), StatusCode::corrupt, "attention.head_count"},
        {set("attention.head_count", 32), StatusCode::corrupt, "head_dim"},
        {set("attention.head_count_kv", 3), StatusCode::corrupt, "num_key_value_heads"},
        {set("patch_size", 0), StatusCode::corrupt, "patch_size"},
        {set("patch_size", 17), StatusCode::corrupt, "v.patch_embd"},
        {set("projector.scale_factor", 0), StatusCode::corrupt, "pooling"},
        {set("projector.scale_factor", kHuge), StatusCode::corrupt, "pooling"},
        {set("projection_dim", 7), StatusCode::corrupt, "projection_dim"},
        {erase("v.patch_embd.weight"), StatusCode::not_found, "v.patch_embd"},
        {erase("v.blk.0.attn_q_norm.weight"), StatusCode::not_found, "attn_q_norm"},
        {erase("mm.input_projection.weight"), StatusCode::not_found, "mm.input_projection"},
        {reshape("v.blk.0.attn_q.weight", {32, 31}), StatusCode::corrupt, "attn_q"},
        {reshape("v.blk.0.ln1.weight", {31}), StatusCode::corrupt, "ln1"},
        {reshape("v.position_embd.weight", {32, 12}), StatusCode::corrupt, "v.position_embd"},
        {reshape("v.blk.0.attn_q.input_min", {2}), StatusCode::corrupt, "input_min"},
        {reshape("v.std_bias", {32}), StatusCode::not_found, "v.std_scale"},
        {value("v.blk.0.ln1.weight", NAN), StatusCode::corrupt, "ln1"},
        {value("v.blk.0.attn_q.input_min", NAN), StatusCode::corrupt, "input_min"},
        {value("v.blk.0.attn_q.input_min", 9.0F), StatusCode::corrupt, "attn_q"},
        {[](TinyMmproj& file) { file.set_text("clip.vision.projector_type", "mlp"); },
         StatusCode::unsupported, "mlp"},
        {[](TinyMmproj& file) { file.metadata.erase("clip.has_vision_encoder"); },
         StatusCode::not_found, "has_vision_encoder"},
        {[](TinyMmproj& file) { file.metadata.erase("clip.vision.block_count"); },
         StatusCode::corrupt, "block_count"},
    };
    for (const Case& entry : cases) {
        TinyMmproj file = tiny_transformer(text_width_);
        entry.change(file);
        expect_fault(file, entry.code, entry.part);
    }
}

TEST_F(Vision, survives_every_truncation) {
    const std::string whole = tiny_transformer(text_width_).bytes();
    for (size_t size = 0; size < whole.size(); size += 997) {
        tree_.write("cut.gguf", whole.substr(0, size));
        EXPECT_FALSE(VisionEncoder::open(*engine_, tree_.path("cut.gguf"), {}).has_value()) << size;
    }
}

TEST_F(Vision, refuses_pictures_that_do_not_fit) {
    auto opened = open(tiny_transformer(text_width_), {.max_soft_tokens = 6});
    ASSERT_TRUE(opened.has_value()) << opened.error().message();
    VisionEncoder& encoder = **opened;
    std::vector<float> soft(6 * text_width_);
    const PatchGrid good = made_up_picture(16, 3, 2, 3);
    EXPECT_TRUE(encoder.encode(good, soft).has_value());
    const auto refused = [&](const PatchGrid& picture) {
        const auto n = encoder.encode(picture, soft);
        return !n && n.error().code() == StatusCode::bad_argument;
    };
    EXPECT_TRUE(refused(made_up_picture(16, 3, 7, 1)));  // more than planned
    EXPECT_TRUE(refused(made_up_picture(16, 3, 1, 5)));  // beyond the position table
    EXPECT_TRUE(refused(made_up_picture(48, 1, 2, 3)));  // patches for the other design
    EXPECT_TRUE(refused(made_up_picture(16, 1, 2, 3)));  // no whole soft tokens
    EXPECT_TRUE(refused(PatchGrid{}));
    PatchGrid bad = good;
    bad.values.pop_back();
    EXPECT_TRUE(refused(bad));
    bad = good;
    std::swap(bad.positions[0], bad.positions[1]);
    EXPECT_TRUE(refused(bad));
    bad = good;
    bad.positions[3].x = -1;
    EXPECT_TRUE(refused(bad));
    EXPECT_FALSE(encoder.encode(good, std::span(soft).first(soft.size() - 1)).has_value());
    EXPECT_FALSE(open(tiny_transformer(text_width_), {.max_soft_tokens = 0}).has_value());
    EXPECT_FALSE(open(tiny_transformer(text_width_), {.max_soft_tokens = 1121}).has_value());
}

TEST_F(Vision, allocates_nothing_after_opening) {
    if (!counts_allocations()) GTEST_SKIP() << "sanitizers replace the allocator";
    for (const auto precision : {TowerPrecision::in_float, TowerPrecision::int8}) {
        auto encoder = open(tiny_transformer(text_width_), {.precision = precision});
        ASSERT_TRUE(encoder.has_value());
        const PatchGrid picture = made_up_picture(16, 3, 4, 3);
        std::vector<float> soft(12 * text_width_);
        const size_t before = n_allocations();
        EXPECT_TRUE((*encoder)->encode(picture, soft).has_value());
        EXPECT_EQ(n_allocations(), before);
    }
}

TEST_F(Vision, plans_memory_by_the_largest_picture) {
    const TinyMmproj file = tiny_transformer(text_width_);
    const auto small = open(file, {.max_soft_tokens = 70});
    const auto large = open(file, {.max_soft_tokens = 1120});
    ASSERT_TRUE(small.has_value() && large.has_value());
    EXPECT_LT((*small)->memory().resident_bytes, (*large)->memory().resident_bytes / 4);
    const auto plan = plan_model(golden_qat_path(), engine_->options());
    ASSERT_TRUE(plan.has_value());
    const auto planned = plan_vision(*plan, tree_.path("mmproj.gguf"), {.max_soft_tokens = 70});
    ASSERT_TRUE(planned.has_value()) << planned.error().message();
    EXPECT_EQ(planned->memory.resident_bytes, (*small)->memory().resident_bytes);
}

}  // namespace
}  // namespace gemlet::test

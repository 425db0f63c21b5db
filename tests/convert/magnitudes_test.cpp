// The chosen step against the error of every candidate, computed from the numbers themselves; and
// which layers of an encoder are quantised, with which scales.
#include "quant/convert/magnitudes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "quant/convert/mobile_towers.h"

namespace gemlet {
namespace {

double squared_error(const std::vector<float>& values, double step) {
    double total = 0;
    for (const float value : values) {
        const double code =
            std::clamp(std::nearbyint(static_cast<double>(value) / step), -128., 127.);
        total +=
            (static_cast<double>(value) - code * step) * (static_cast<double>(value) - code * step);
    }
    return total;
}

TEST(Magnitudes, step_is_nearly_the_best) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (const int power : {1, 3}) {  // a bell, and one with long tails
        std::vector<float> values(20000);
        for (float& value : values) value = std::pow(normal(random), static_cast<float>(power));
        Magnitudes met;
        met.add(values.data(), values.size());
        const double whole = static_cast<double>(met.largest()) / 127;
        double least = squared_error(values, whole);
        for (double share = 0.05; share < 1; share += 0.005) {
            least = std::min(least, squared_error(values, share * whole));
        }
        // Bins of 9 % and candidates 5 % apart.
        EXPECT_LT(squared_error(values, static_cast<double>(met.best_step())), 1.06 * least);
        EXPECT_LE(met.best_step(), whole * 1.0001);
    }
}

TEST(Magnitudes, odd_input_gives_no_step_or_a_usable_one) {
    Magnitudes none;
    EXPECT_EQ(none.best_step(), 0.0F);
    const std::vector<float> zeros(9);
    none.add(zeros.data(), zeros.size());
    EXPECT_EQ(none.best_step(), 0.0F);
    const float infinite[] = {1, std::numeric_limits<float>::infinity()};
    Magnitudes broken;
    broken.add(infinite, 2);
    EXPECT_EQ(broken.best_step(), 0.0F);
    const float odd[] = {NAN, 1e-41F, -254};
    Magnitudes mixed;
    mixed.add(odd, 3);
    EXPECT_TRUE(std::isfinite(mixed.best_step()));
    EXPECT_GT(mixed.best_step(), 0.0F);
}

TEST(MobileTowers, are_the_layers_that_published_files_quantise) {
    EXPECT_TRUE(is_tower_linear("model.vision_tower.encoder.layers.0.mlp.up_proj.linear.weight"));
    EXPECT_TRUE(is_tower_linear("model.audio_tower.layers.2.self_attn.post.linear.weight"));
    for (const char* kept : {"model.audio_tower.layers.2.self_attn.relative_k_proj.weight",
                             "model.vision_tower.patch_embedder.input_proj.weight",
                             "model.embed_audio.embedding_projection.weight",
                             "model.language_model.layers.0.mlp.up_proj.weight",
                             "model.audio_tower.output_proj.weight", ".linear.weight"}) {
        EXPECT_FALSE(is_tower_linear(kept)) << kept;
    }
    const Scheme scheme = *scheme_from_name("mobile:w4");
    EXPECT_EQ(tower_bits(scheme, "model.vision_tower.encoder.layers.0.mlp.up_proj.linear"), 8U);
    EXPECT_EQ(tower_bits(scheme, "model.audio_tower.layers.0.self_attn.post.linear"), 4U);
}

}  // namespace
}  // namespace gemlet

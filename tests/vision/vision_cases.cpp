#include "tests/vision/vision_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace gemlet::test {
namespace {

void add_positions(PatchGrid& picture) {
    for (size_t i = 0; i < picture.n_patches(); ++i) {
        picture.positions.push_back(
            {static_cast<int32_t>(i % picture.cols), static_cast<int32_t>(i / picture.cols)});
    }
}

}  // namespace

PatchGrid made_up_picture(size_t patch_side, size_t pooling, size_t n_rows, size_t n_cols) {
    PatchGrid out;
    out.patch_side = patch_side;
    out.rows = n_rows * pooling;
    out.cols = n_cols * pooling;
    out.n_soft_tokens = n_rows * n_cols;
    std::mt19937 random(7);
    out.values.resize(out.n_patches() * out.patch_dim());
    for (float& value : out.values) {
        value = static_cast<float>(random() % 256) * (1.0F / 255.0F);
    }
    add_positions(out);
    return out;
}

PatchGrid stored_picture(const std::string& key) {
    const Goldens goldens(".", "pictures.safetensors");
    const std::vector<uint8_t> bytes = goldens.bytes(key + ".patches_u8");
    const std::vector<int32_t> positions = goldens.ints(key + ".positions");
    PatchGrid out;
    out.patch_side = 16;
    for (const uint8_t byte : bytes) {
        out.values.push_back(static_cast<float>(byte) * (1.0F / 255.0F));
    }
    for (size_t i = 0; i + 1 < positions.size(); i += 2) {
        out.positions.push_back({positions[i], positions[i + 1]});
        out.cols = std::max(out.cols, static_cast<size_t>(positions[i]) + 1);
        out.rows = std::max(out.rows, static_cast<size_t>(positions[i + 1]) + 1);
    }
    out.n_soft_tokens = out.rows / 3 * (out.cols / 3);
    return out;
}

PatchGrid merge_patches(const PatchGrid& picture) {
    PatchGrid out;
    const size_t side = picture.patch_side;
    out.patch_side = 3 * side;
    out.rows = picture.rows / 3;
    out.cols = picture.cols / 3;
    out.n_soft_tokens = out.rows * out.cols;
    add_positions(out);
    for (size_t i = 0; i < out.n_patches(); ++i) {
        for (size_t pixel = 0; pixel < out.patch_side * out.patch_side; ++pixel) {
            const size_t y = i / out.cols * out.patch_side + pixel / out.patch_side;
            const size_t x = i % out.cols * out.patch_side + pixel % out.patch_side;
            const size_t patch = y / side * picture.cols + x / side;
            const float* rgb = picture.values.data() + patch * picture.patch_dim() +
                               (y % side * side + x % side) * 3;
            out.values.insert(out.values.end(), rgb, rgb + 3);
        }
    }
    return out;
}

Encoded encode(VisionEncoder& encoder, const PatchGrid& picture) {
    Encoded out;
    const VisionConfig& config = encoder.config();
    out.soft.resize(picture.n_soft_tokens * config.text_width);
    out.encoded.resize(picture.n_soft_tokens * config.width);
    const auto n = encoder.encode(picture, out.soft, out.encoded);
    if (n) {
        EXPECT_EQ(*n, picture.n_soft_tokens);
    } else {
        ADD_FAILURE() << n.error().message();
    }
    return out;
}

std::unique_ptr<VisionEncoder> open_encoder(Engine& engine, const std::string& mmproj,
                                            const VisionOptions& options) {
    std::string fault;
    auto encoder = VisionEncoder::open(engine, mmproj, options, &fault);
    if (!encoder) {
        ADD_FAILURE() << fault << ": " << encoder.error().message();
        return nullptr;
    }
    return std::move(*encoder);
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) return INFINITY;
    double largest = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        if (!(difference <= largest)) largest = difference;
    }
    return largest;
}

double relative_rms(std::span<const float> got, std::span<const float> reference) {
    if (got.size() != reference.size()) return INFINITY;
    double difference = 0;
    double size = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        const auto want = static_cast<double>(reference[i]);
        difference += (static_cast<double>(got[i]) - want) * (static_cast<double>(got[i]) - want);
        size += want * want;
    }
    return std::sqrt(difference / size);
}

}  // namespace gemlet::test

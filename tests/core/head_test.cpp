// Logits of which only the largest are read, beside all of them.
#include "core/text/head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "kernels/kernels.h"

namespace gemlet::test {
namespace {

constexpr size_t kVocab = 16390;  // the last of its blocks is short
constexpr size_t kWidth = 203;    // no multiple of any register

/// What the head's input looks like.
enum class Rows : uint8_t { even, peaked, zero };

struct Case {
    const char* name;
    WeightType type;
    Rows rows;
    size_t n_rows;
    size_t n_best;
    float soft_cap;
    float weight_scale;
    bool estimated;  // few logits are computed in full
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

constexpr Case kCases[] = {
    {"int2", WeightType::i2r, Rows::even, 1, 64, 0, 0.02F, true},
    {"int4", WeightType::i4r, Rows::even, 3, 20, 0, 0.02F, true},
    {"int8", WeightType::i8r, Rows::even, 2, 1, 0, 0.02F, true},
    {"capped", WeightType::i2r, Rows::even, 4, 64, 30, 0.2F, true},
    {"peaked", WeightType::i2r, Rows::peaked, 2, 64, 30, 0.02F, true},
    {"flat_cap", WeightType::i2r, Rows::even, 1, 64, 30, 20, false},
    {"zero", WeightType::i2r, Rows::zero, 1, 1, 30, 0.02F, false},
    {"most", WeightType::i2r, Rows::even, 1, 5000, 0, 0.02F, false},
    {"many_rows", WeightType::i2r, Rows::even, 17, 4, 0, 0.02F, false},
};

/// A head of made-up weights. Every 50th row is like the one before, and every 7th scale negative.
class HeadTest : public testing::TestWithParam<Case> {
  protected:
    HeadTest()
        : stride_((kWidth + row_streams(GetParam().type) - 1) / row_streams(GetParam().type)),
          weights_(kVocab * stride_),
          scales_(kVocab) {
        for (uint8_t& byte : weights_) byte = static_cast<uint8_t>(random_());
        for (size_t n = 0; n < kVocab; ++n) {
            const float part = 0.5F + static_cast<float>(random_() % 1000) / 2000.0F;
            scales_[n] = (n % 7 == 3 ? -part : part) * GetParam().weight_scale;
            if (n % 50 != 49) continue;
            std::copy_n(&weights_[(n - 1) * stride_], stride_, &weights_[n * stride_]);
            scales_[n] = scales_[n - 1];
        }
        head_.data = weights_.data();
        head_.type = GetParam().type;
        head_.n_rows = kVocab;
        head_.n_cols = kWidth;
        head_.row_stride_bytes = stride_;
        head_.row_scale = reinterpret_cast<const uint8_t*>(scales_.data());
        config_.vocab_size = kVocab;
        config_.d_model = kWidth;
        config_.soft_cap = GetParam().soft_cap;
        workspace_ = std::move(*Workspace::create(
            config_,
            {.max_rows = GetParam().n_rows, .max_wanted = GetParam().n_rows, .n_workers = 2}));
        pool_ = std::move(*ThreadPool::create({.n_threads = 2}));
    }

    /// Logits [n_rows, vocab] with so many wanted; says how many of them are exact.
    std::vector<float> logits(const Kernels& kernels, size_t n_best, size_t& n_exact) {
        const Compute compute{kernels, *pool_, workspace_};
        const Matrix* const users[] = {&head_};
        const LinearInput input(compute, users, GetParam().n_rows);
        std::mt19937 random(5);
        std::normal_distribution<float> normal;
        for (size_t row = 0; row < GetParam().n_rows; ++row) {
            float* x = input.row(row, 0);
            for (size_t i = 0; i < kWidth; ++i) x[i] = normal(random);
            if (GetParam().rows == Rows::peaked) x[row + 17] = -90.0F;
            if (GetParam().rows == Rows::zero) std::fill_n(x, kWidth, 0.0F);
            input.finish_row(row, 0);
        }
        std::vector<StepRow> rows(GetParam().n_rows);
        for (StepRow& row : rows) row.n_best = n_best;
        n_exact = compute_logits(compute, config_, head_, input, rows);
        return {workspace_.logits, workspace_.logits + rows.size() * kVocab};
    }

    std::mt19937 random_{1};
    size_t stride_;
    std::vector<uint8_t> weights_;
    std::vector<float> scales_;
    Matrix head_;
    ModelConfig config_;
    Workspace workspace_;
    std::unique_ptr<ThreadPool> pool_;
};

/// The n largest with their ids, largest first; of equal ones the lower id first.
std::vector<std::pair<float, size_t>> largest(const float* logits, size_t n) {
    std::vector<std::pair<float, size_t>> all(kVocab);
    for (size_t id = 0; id < kVocab; ++id) all[id] = {logits[id], id};
    const auto better = [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
    };
    std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(n), all.end(), better);
    all.resize(n);
    return all;
}

TEST_P(HeadTest, the_largest_are_the_same_bits) {
    const Case& c = GetParam();
    for (const IsaSet isas : {IsaSet{}, detect_isas()}) {
        const Kernels kernels = select_kernels(isas);
        size_t n_exact = 0;
        const std::vector<float> all = logits(kernels, 0, n_exact);
        EXPECT_EQ(n_exact, all.size());
        const std::vector<float> some = logits(kernels, c.n_best, n_exact);
        for (size_t row = 0; row < c.n_rows; ++row) {
            EXPECT_EQ(largest(&some[row * kVocab], c.n_best), largest(&all[row * kVocab], c.n_best))
                << "row " << row;
        }
        if (c.estimated) {
            EXPECT_LT(n_exact, all.size() / 4);
        } else {
            EXPECT_EQ(n_exact, all.size());
        }
    }
}

INSTANTIATE_TEST_SUITE_P(all, HeadTest, testing::ValuesIn(kCases),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace gemlet::test

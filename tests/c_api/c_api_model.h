// The example model, opened once for a test.
#pragma once

#include <gemlet.h>
#include <gtest/gtest.h>

#include <string>

namespace gemlet::test {

inline const std::string kNano = GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano";

/// A model with a small context and two threads, and a session that always takes the likeliest
/// token.
class CApi : public testing::Test {
  protected:
    void SetUp() override {
        gemlet_model_options options = {};
        options.size = sizeof(options);
        options.n_threads = 2;
        options.context = kContext;
        options.picture_budget = 70;
        ASSERT_EQ(gemlet_model_open(kNano.data(), kNano.size(), &options, &model_), GEMLET_OK)
            << gemlet_model_error(model_);
        ASSERT_EQ(gemlet_session_create(model_, &session_), GEMLET_OK)
            << gemlet_session_error(session_);
        gemlet_sampling sampling = {};
        sampling.size = sizeof(sampling);
        ASSERT_EQ(gemlet_session_get_sampling(session_, &sampling), GEMLET_OK);
        sampling.temperature = 0;
        ASSERT_EQ(gemlet_session_set_sampling(session_, &sampling), GEMLET_OK);
    }
    void TearDown() override {
        gemlet_model_close(model_);  // before its session: either order is allowed
        gemlet_session_free(session_);
    }

    static constexpr size_t kContext = 256;
    gemlet_model* model_ = nullptr;
    gemlet_session* session_ = nullptr;
};

}  // namespace gemlet::test

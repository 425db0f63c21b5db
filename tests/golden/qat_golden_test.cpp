// The QAT mobile checkpoint: integer arithmetic, so every instruction set, number of threads and
// size of steps must give the same bits; and the reference's results. Static quantisation makes the
// model discontinuous, so only prompts on which the reference implementations agreed about every
// code ("robust", "agreeing") are compared closely; "long" ones by statistics.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/json.h"
#include "core/text/linear.h"
#include "quant/formats/dequantize.h"
#include "tests/golden/golden_data.h"
#include "tests/golden/run_model.h"

namespace gemlet::test {
namespace {

constexpr double kAgreeingTolerance = 1e-4;
constexpr double kLongMean = 0.5;
constexpr double kLongLargest = 6.5;  // same order of magnitude as the 0.65 between references

Json read_goldens_json() {
    const std::ifstream file(GEMLET_TEST_DATA "/golden/qat/goldens.json");
    std::ostringstream text;
    text << file.rdbuf();
    auto document = parse_json(text.str());
    if (!document) {
        ADD_FAILURE() << document.error().message();
        return {};
    }
    return std::move(*document);
}

std::vector<int32_t> ids_of(const Json& list) {
    std::vector<int32_t> out;
    for (const Json& id : list.items) out.push_back(static_cast<int32_t>(id.number));
    return out;
}

struct Prompt {
    std::string index;
    std::string kind;
    std::vector<int32_t> ids;
};

std::vector<Prompt> read_prompts() {
    std::vector<Prompt> out;
    const Json document = read_goldens_json();
    for (const Json& entry : document.find("text")->items) {
        if (entry.find("index") == nullptr) continue;  // greedy continuations
        out.push_back(
            {entry.find("index")->text, entry.find("kind")->text, ids_of(*entry.find("ids"))});
    }
    return out;
}

constexpr KvType kKvTypes[] = {KvType::f32, KvType::i8};

RunOptions qat_options(Isa isa, KvType kv) {
    RunOptions out;
    out.isa = isa;
    out.kv = kv;
    out.in_float = false;
    out.context = 64;
    return out;
}

class QatGolden : public testing::TestWithParam<Isa> {
  protected:
    void SetUp() override {
        if (!has_isa(GetParam())) {
            GTEST_SKIP() << "this machine has no " << isa_name(GetParam());
        }
    }
    std::string path_ = golden_qat_path();
};

TEST_P(QatGolden, logits_match_the_reference) {
    const Goldens goldens("qat");
    for (const Prompt& prompt : read_prompts()) {
        for (const KvType kv : kKvTypes) {
            SCOPED_TRACE(prompt.index + (kv == KvType::i8 ? " int8 KV" : " float KV"));
            const auto logits = all_logits(path_, qat_options(GetParam(), kv), prompt.ids);
            const size_t vocab = logits.size() / prompt.ids.size();
            const auto reference =
                goldens.floats(prompt.index + (kv == KvType::i8 ? ".logits_kv8" : ".logits"));
            ASSERT_LE(reference.size(), logits.size());  // long ones keep the last rows
            const auto rows = std::span(logits).last(reference.size());
            const Difference difference = compare(rows, reference, vocab);
            if (prompt.kind == "long") {
                EXPECT_LT(difference.mean, kLongMean);
                EXPECT_LT(difference.largest, kLongLargest);
            } else {
                EXPECT_LE(difference.largest, kAgreeingTolerance);
            }
        }
    }
}

TEST_P(QatGolden, every_cut_gives_the_same_bits_as_scalar) {
    const auto ids = read_prompts().back().ids;
    for (const KvType kv : kKvTypes) {
        const auto scalar = all_logits(path_, qat_options(Isa::scalar, kv), ids);
        const auto last = std::span(scalar).last(scalar.size() / ids.size());
        for (const size_t chunk : {64, 32, 7, 3, 1}) {
            for (const size_t n_threads : {1, 2, 3}) {
                // The scalar kernels are slow, and what surrounds them is the same for all.
                if (GetParam() == Isa::scalar && (chunk != 7 || n_threads != 3)) continue;
                RunOptions run = qat_options(GetParam(), kv);
                run.chunk = chunk;
                run.n_threads = n_threads;
                SCOPED_TRACE(describe(run));
                EXPECT_TRUE(same_bits(all_logits(path_, run, ids), scalar));
                EXPECT_TRUE(same_bits(last_logits(path_, run, ids), last));
            }
        }
    }
}

// Behind position 2,048 global layers over an int8 cache go on in integers: steps that end before,
// at and behind that line meet there.
TEST_P(QatGolden, every_cut_of_a_long_prompt_gives_the_same_bits) {
    if (GetParam() == Isa::scalar)
        GTEST_SKIP() << "slow; each kernel is compared with it elsewhere";
    const auto prompt = read_prompts().back().ids;
    std::vector<int32_t> ids;
    for (size_t i = 0; i < 2100; ++i) ids.push_back(prompt[i * i % prompt.size()]);
    RunOptions run = qat_options(GetParam(), KvType::i8);
    run.context = 2112;
    const auto want = last_logits(path_, run, ids);
    for (const size_t chunk : {256, 61}) {
        run.chunk = chunk;
        run.n_threads = chunk == 256 ? 3 : 2;
        SCOPED_TRACE(describe(run));
        EXPECT_TRUE(same_bits(last_logits(path_, run, ids), want));
    }
}

TEST_P(QatGolden, greedy_decoding_gives_the_reference_ids) {
    const Json document = read_goldens_json();
    size_t n_seen = 0;
    for (const Json& entry : document.find("text")->items) {
        if (entry.find("kind")->text != "greedy") continue;
        ++n_seen;
        const bool int8 = entry.find("cache")->text == "int8";
        SCOPED_TRACE(int8);
        const auto engine =
            open_engine(path_, qat_options(GetParam(), int8 ? KvType::i8 : KvType::f32));
        ASSERT_NE(engine, nullptr);
        const auto session = new_session(*engine);
        ASSERT_TRUE(session->append(prompt_rows(ids_of(*entry.find("prompt")))).ok());
        const auto expected = ids_of(*entry.find("tokens"));
        for (size_t i = 0; i < expected.size(); ++i) {
            const auto next = static_cast<int32_t>(argmax(session->logits()));
            if (next != expected[i]) {
                // One early flip moves logits by up to 0.65: twice that decides.
                EXPECT_LT(entry.find("gap_to_second")->items[i].number, 1.3) << "step " << i;
                break;
            }
            ASSERT_TRUE(session->append(next).ok());
        }
    }
    EXPECT_EQ(n_seen, 2U);
}

INSTANTIATE_TEST_SUITE_P(all, QatGolden, testing::ValuesIn(golden_isas()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

/// Value before the output quantiser, in double, divided by its step.
double exact_steps(const Matrix& weight, size_t row, std::span<const float> x) {
    std::vector<float> codes(weight.n_cols);
    dequantize_row(weight.type, weight.data + row * weight.row_stride_bytes, weight.n_cols,
                   codes.data());
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
        const float code = std::nearbyint(x[i] / weight.input_scale);
        sum += static_cast<double>(std::min(std::max(code, -128.0F), 127.0F)) *
               static_cast<double>(codes[i]);
    }
    float scale = 0;
    std::memcpy(&scale, weight.row_scale + row * sizeof(float), sizeof scale);
    return sum * static_cast<double>(weight.input_scale) * static_cast<double>(scale) /
           static_cast<double>(weight.output_scale);
}

bool is_tie(double steps) {
    const double fraction = std::abs(steps) - std::floor(std::abs(steps));
    return std::abs(fraction - 0.5) < 4e-6 * std::max(std::abs(steps), 2.0);
}

class QatTrace : public testing::Test {
  protected:
    void SetUp() override {
        auto checkpoint = Checkpoint::open(golden_qat_path());
        ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().message();
        checkpoint_ = std::make_unique<Checkpoint>(std::move(*checkpoint));
        auto weights = bind_text_weights(*checkpoint_, checkpoint_->config());
        ASSERT_TRUE(weights.has_value()) << weights.error().message();
        weights_ = std::move(*weights);
        auto pool = ThreadPool::create({.n_threads = 2, .spin_us = 0});
        ASSERT_TRUE(pool.has_value());
        pool_ = std::move(*pool);
        auto workspace = Workspace::create(
            checkpoint_->config(),
            {.max_rows = 4, .max_wanted = 4, .n_workers = pool_->n_workers(), .context = 4});
        ASSERT_TRUE(workspace.has_value());
        workspace_ = std::move(*workspace);
    }
    /// The matrix of a module's full name, null when the runtime does not use it.
    const Matrix* matrix(const std::string& module) const {
        if (module == "lm_head") return &weights_.head;
        const std::string prefix = "model.language_model.layers.";
        if (module.rfind(prefix, 0) != 0) return nullptr;
        const size_t dot = module.find('.', prefix.size());
        const size_t index = std::stoul(module.substr(prefix.size(), dot - prefix.size()));
        const std::string name = module.substr(dot + 1);
        const LayerWeights& layer = weights_.layers[index];
        const std::pair<const char*, const Matrix*> known[] = {
            {"self_attn.q_proj", &layer.q},
            {"self_attn.k_proj", &layer.k},
            {"self_attn.v_proj", &layer.v},
            {"self_attn.o_proj", &layer.o},
            {"mlp.gate_proj", &layer.gate},
            {"mlp.up_proj", &layer.up},
            {"mlp.down_proj", &layer.down},
            {"per_layer_input_gate", &layer.ple_gate},
            {"per_layer_projection", &layer.ple_projection},
        };
        for (const auto& [known_name, matrix] : known) {
            if (name == known_name) return matrix;
        }
        return nullptr;
    }
    std::vector<float> run(const Matrix& weight, std::span<const float> x, size_t m) {
        const Kernels kernels = select_kernels(detect_isas());
        std::vector<float> out(m * weight.n_rows);
        linear({kernels, *pool_, workspace_}, weight, x.data(), out.data(), m);
        return out;
    }

    std::unique_ptr<Checkpoint> checkpoint_;
    TextWeights weights_;
    std::unique_ptr<ThreadPool> pool_;
    Workspace workspace_;
};

TEST_F(QatTrace, each_linear_gives_the_reference_codes) {
    const Goldens trace("qat", "trace.safetensors");
    size_t n_linears = 0;
    for (const TensorView& tensor : trace.tensors()) {
        const std::string suffix = ".x";
        if (tensor.name.size() < 2 || tensor.name.substr(tensor.name.size() - 2) != suffix)
            continue;
        const std::string module = tensor.name.substr(0, tensor.name.size() - 2);
        SCOPED_TRACE(module);
        const Matrix* weight = matrix(module);
        ASSERT_NE(weight, nullptr);
        const auto x = trace.floats(tensor.name);
        const size_t m = x.size() / weight->n_cols;
        const auto y = run(*weight, x, m);
        ++n_linears;
        if (weight->output_scale == 0) {
            const Difference difference = compare(y, trace.floats(module + ".y"), weight->n_rows);
            EXPECT_LE(difference.largest, 1e-4);
            continue;
        }
        const auto codes = trace.codes(module + ".y_codes");
        ASSERT_EQ(codes.size(), y.size());
        for (size_t i = 0; i < y.size(); ++i) {
            const float code = std::nearbyint(y[i] / weight->output_scale);
            EXPECT_EQ(y[i], code * weight->output_scale);
            if (code == static_cast<float>(codes[i])) continue;
            const size_t row = i % weight->n_rows;
            const auto input = std::span(x).subspan(i / weight->n_rows * weight->n_cols);
            const double steps = exact_steps(*weight, row, input.first(weight->n_cols));
            EXPECT_TRUE(is_tie(steps)) << "row " << row << ": " << steps;
            EXPECT_EQ(std::abs(code - static_cast<float>(codes[i])), 1.0F);
        }
    }
    EXPECT_EQ(n_linears, 49U);
}

}  // namespace
}  // namespace gemlet::test

#include "tests/golden/run_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace gemlet::test {
namespace {

struct Collected {
    std::vector<float> logits;
    size_t next = 0;
};

void take(void* context, size_t position, std::span<const float> logits) {
    auto& out = *static_cast<Collected*>(context);
    EXPECT_EQ(position, out.next++);
    out.logits.insert(out.logits.end(), logits.begin(), logits.end());
}

constexpr double kClearMargin = 0.5;

/// Whether the largest reference logit stands out and is not the largest here.
bool wrong_best(std::span<const float> row, std::span<const float> reference) {
    const size_t best = argmax(reference);
    float second = -INFINITY;
    for (size_t i = 0; i < reference.size(); ++i) {
        if (i != best) second = std::max(second, reference[i]);
    }
    return static_cast<double>(reference[best] - second) > kClearMargin && argmax(row) != best;
}

double cosine(double ab, double aa, double bb) {
    return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

}  // namespace

std::string describe(const RunOptions& options) {
    const char* kv = options.kv == KvType::f32 ? "f32" : options.kv == KvType::f16 ? "f16" : "int8";
    return std::string(isa_name(options.isa)) + ", threads " + std::to_string(options.n_threads) +
           ", chunk " + std::to_string(options.chunk) + ", kv " + kv +
           (options.in_float ? ", float" : "");
}

std::unique_ptr<Engine> open_engine(const std::string& path, const RunOptions& options) {
    EngineOptions engine_options;
    engine_options.isa_cap = options.isa;
    engine_options.n_threads = options.n_threads;
    engine_options.chunk = options.chunk;
    engine_options.max_wanted = options.chunk;
    engine_options.kv_type = options.kv;
    engine_options.float_activations = options.in_float;
    engine_options.context = options.context;
    std::string fault;
    auto engine = Engine::open(path, engine_options, &fault);
    if (!engine) {
        ADD_FAILURE() << fault << ": " << engine.error().message();
        return nullptr;
    }
    return std::move(*engine);
}

std::unique_ptr<Session> new_session(Engine& engine) {
    auto session = Session::create(engine);
    if (!session) {
        ADD_FAILURE() << session.error().message();
        return nullptr;
    }
    return std::move(*session);
}

std::vector<PromptRow> prompt_rows(std::span<const int32_t> ids) {
    std::vector<PromptRow> rows;
    rows.reserve(ids.size());
    for (const int32_t id : ids) rows.push_back({id, nullptr});
    return rows;
}

std::vector<float> all_logits(const std::string& path, const RunOptions& options,
                              std::span<const int32_t> ids) {
    const auto engine = open_engine(path, options);
    if (engine == nullptr) return {};
    const auto session = new_session(*engine);
    if (session == nullptr) return {};
    Collected out;
    const Status status = session->append_all(prompt_rows(ids), {take, &out});
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(out.next, ids.size());
    return std::move(out.logits);
}

std::vector<float> last_logits(const std::string& path, const RunOptions& options,
                               std::span<const int32_t> ids) {
    const auto engine = open_engine(path, options);
    if (engine == nullptr) return {};
    const auto session = new_session(*engine);
    if (session == nullptr) return {};
    const Status status = session->append(prompt_rows(ids));
    EXPECT_TRUE(status.ok()) << status.message();
    return {session->logits().begin(), session->logits().end()};
}

Difference compare(std::span<const float> logits, std::span<const float> reference, size_t vocab) {
    Difference out;
    if (logits.size() != reference.size() || reference.empty()) {
        ADD_FAILURE() << logits.size() << " logits, expected " << reference.size();
        return out;
    }
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (size_t row = 0; row < reference.size(); row += vocab) {
        double row_ab = 0;
        double row_aa = 0;
        double row_bb = 0;
        for (size_t i = row; i < row + vocab; ++i) {
            const auto a = static_cast<double>(logits[i]);
            const auto b = static_cast<double>(reference[i]);
            // Not std::max: a NaN must show.
            const double difference = std::abs(a - b);
            if (!(difference <= out.largest)) out.largest = difference;
            out.mean += difference;
            row_ab += a * b;
            row_aa += a * a;
            row_bb += b * b;
        }
        out.smallest_cosine = std::min(out.smallest_cosine, cosine(row_ab, row_aa, row_bb));
        ab += row_ab;
        aa += row_aa;
        bb += row_bb;
        if (wrong_best(logits.subspan(row, vocab), reference.subspan(row, vocab))) {
            ++out.n_wrong_best;
        }
    }
    out.mean /= static_cast<double>(reference.size());
    out.cosine = cosine(ab, aa, bb);
    return out;
}

std::vector<float> pick_rows(std::span<const float> logits, std::span<const int32_t> rows,
                             size_t vocab) {
    std::vector<float> out;
    for (const int32_t row : rows) {
        const auto from = static_cast<size_t>(row) * vocab;
        if (from + vocab > logits.size()) {
            ADD_FAILURE() << "no row " << row;
            return {};
        }
        const auto part = logits.subspan(from, vocab);
        out.insert(out.end(), part.begin(), part.end());
    }
    return out;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

size_t argmax(std::span<const float> logits) {
    return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

bool has_isa(Isa isa) { return detect_isas().has(isa); }

std::vector<Isa> golden_isas() {
#ifdef GEMLET_ARM_KERNELS
    return {Isa::scalar, Isa::neon, Isa::dotprod, Isa::i8mm};
#else
    return {Isa::scalar, Isa::avx2, Isa::avxvnni, Isa::avx512vnni, Isa::amx};
#endif
}

}  // namespace gemlet::test

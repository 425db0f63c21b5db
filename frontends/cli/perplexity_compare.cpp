// gemlet perplexity --compare: both models read the same tokens a few rows at a time, so that only
// those rows' logits are in memory. The first model is the truth: the divergence is the expected
// surprise of the second under the first's probabilities, less the first's own.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "frontends/cli/open_model.h"
#include "frontends/cli/perplexity.h"
#include "frontends/cli/progress.h"

namespace gemlet {
namespace {

struct Comparison {
    const MeasuredText* text = nullptr;
    std::span<const PromptRow> window;
    size_t vocab = 0;
    size_t first = 0;           // position of the piece's first row
    std::vector<float> logits;  // [kPerplexityRows, vocab] of the first model
    double surprise_a = 0;
    double surprise_b = 0;
    std::vector<float> divergences;  // one per counted position
    size_t n_same_top = 0;
};

void keep_logits(void* context, size_t position, std::span<const float> logits) {
    Comparison& c = *static_cast<Comparison*>(context);
    const size_t row = position - c.first;
    std::copy(logits.begin(), logits.end(),
              c.logits.begin() + static_cast<ptrdiff_t>(row * c.vocab));
}

void compare_logits(void* context, size_t position, std::span<const float> b) {
    Comparison& c = *static_cast<Comparison*>(context);
    if (!c.text->counts(position)) return;
    const std::span<const float> a =
        std::span(c.logits).subspan((position - c.first) * c.vocab, c.vocab);
    const auto next = static_cast<size_t>(c.window[position + 1].token);
    const double norm_a = log_sum_exp(a);
    const double norm_b = log_sum_exp(b);
    double divergence = 0;
    for (size_t i = 0; i < c.vocab; ++i) {
        const double log_a = static_cast<double>(a[i]) - norm_a;
        const double log_b = static_cast<double>(b[i]) - norm_b;
        divergence += std::exp(log_a) * (log_a - log_b);
    }
    // Zero at least in exact arithmetic; rounding may leave it just below.
    c.divergences.push_back(static_cast<float>(std::max(divergence, 0.0)));
    c.surprise_a += norm_a - static_cast<double>(a[next]);
    c.surprise_b += norm_b - static_cast<double>(b[next]);
    if (std::ranges::max_element(a) - a.begin() == std::ranges::max_element(b) - b.begin()) {
        ++c.n_same_top;
    }
}

Status measure(Session& a, Session& b, MeasuredText& text, size_t rows_at_once, Comparison& c) {
    ProgressBar bar("comparing", text.n_windows());
    c.text = &text;
    for (size_t i = 0; i < text.n_windows(); ++i) {
        c.window = text.begin_window(i);
        GEMLET_TRY(a.truncate(0));
        GEMLET_TRY(b.truncate(0));
        for (c.first = 0; c.first < c.window.size(); c.first += rows_at_once) {
            const auto piece =
                c.window.subspan(c.first, std::min(rows_at_once, c.window.size() - c.first));
            GEMLET_TRY(a.append_all(piece, {keep_logits, &c}));
            GEMLET_TRY(b.append_all(piece, {compare_logits, &c}));
        }
        bar.update(i + 1);
    }
    return {};
}

void print(Comparison& c) {
    const auto n = static_cast<double>(c.divergences.size());
    double total = 0;
    for (const float divergence : c.divergences) total += static_cast<double>(divergence);
    std::ranges::sort(c.divergences);
    const auto at = [&](double share) {
        const auto index = static_cast<size_t>(share * (n - 1));
        return Json::of_number(static_cast<double>(c.divergences[index]));
    };
    Json result = Json::object();
    result.set("perplexity_a", Json::of_number(std::exp(c.surprise_a / n)));
    result.set("perplexity_b", Json::of_number(std::exp(c.surprise_b / n)));
    result.set("kl_divergence", Json::of_number(total / n));
    result.set("kl_median", at(0.5));
    result.set("kl_99", at(0.99));
    result.set("kl_max", at(1));
    result.set("top1_agreement", Json::of_number(static_cast<double>(c.n_same_top) / n));
    result.set("tokens", Json::of_integer(static_cast<int64_t>(c.divergences.size())));
    std::printf("%s\n", write_json(result).c_str());
}

}  // namespace

Failure compare_perplexity(const Options& options) {
    const EngineOptions settings = perplexity_engine_options(options);
    Options other = options;
    other.model = options.compare;
    Failure failure;
    const std::unique_ptr<Engine> a = open_engine(options, settings, failure);
    if (a == nullptr) return failure;
    const std::unique_ptr<Engine> b = open_engine(other, settings, failure);
    if (b == nullptr) return failure;
    if (a->config().vocab_size != b->config().vocab_size) {
        return {Status(StatusCode::bad_argument, "the models' vocabularies differ in size",
                       "--compare", static_cast<int64_t>(b->config().vocab_size)),
                other.model};
    }
    Result<MeasuredText> text = read_measured_text(options, *a);
    if (!text) return text.error();
    Result<std::unique_ptr<Session>> session_a = Session::create(*a);
    if (!session_a) return session_a.error();
    Result<std::unique_ptr<Session>> session_b = Session::create(*b);
    if (!session_b) return session_b.error();
    Comparison comparison;
    comparison.vocab = a->config().vocab_size;
    comparison.logits.resize(settings.max_wanted * comparison.vocab);
    const Status status = measure(**session_a, **session_b, *text, settings.max_wanted, comparison);
    if (!status.ok()) return status;
    print(comparison);
    return {};
}

}  // namespace gemlet

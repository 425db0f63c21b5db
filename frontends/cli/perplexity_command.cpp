// gemlet perplexity: the field's convention. The text is cut into windows, the first token of each
// is replaced by BOS, and the predictions of each window's second half count.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "core/files/mapped_file.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/perplexity.h"
#include "frontends/cli/progress.h"
#include "frontends/text/tokenizer/tokenizer.h"

namespace gemlet {
namespace {

struct Sums {
    const MeasuredText* text = nullptr;
    std::span<const PromptRow> window;
    double total = 0;
    size_t n_counted = 0;
};

/// Position p predicts p + 1.
void count_position(void* context, size_t position, std::span<const float> logits) {
    Sums& sums = *static_cast<Sums*>(context);
    if (!sums.text->counts(position)) return;
    const auto next = static_cast<size_t>(sums.window[position + 1].token);
    sums.total += log_sum_exp(logits) - static_cast<double>(logits[next]);
    ++sums.n_counted;
}

Status measure(Session& session, MeasuredText& text, Sums& sums) {
    ProgressBar bar("perplexity", text.n_windows());
    sums.text = &text;
    for (size_t i = 0; i < text.n_windows(); ++i) {
        sums.window = text.begin_window(i);
        GEMLET_TRY(session.truncate(0));
        GEMLET_TRY(session.append_all(sums.window, {count_position, &sums}));
        bar.update(i + 1);
    }
    return {};
}

}  // namespace

std::span<const PromptRow> MeasuredText::begin_window(size_t index) {
    rows[index * window].token = bos;
    return std::span(rows).subspan(index * window, window);
}

double log_sum_exp(std::span<const float> logits) {
    double largest = -1e30;
    for (const float logit : logits) largest = std::max(largest, static_cast<double>(logit));
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
    return std::log(sum) + largest;
}

Result<MeasuredText> read_measured_text(const Options& options, const Engine& engine) {
    Result<MappedFile> file = MappedFile::open(options.file);
    GEMLET_TRY(file);
    Result<Tokenizer> tokenizer = open_tokenizer(engine.checkpoint());
    GEMLET_TRY(tokenizer);
    MeasuredText text;
    text.window = options.window;
    text.bos = tokenizer->vocabulary().bos();
    const std::span<const uint8_t> bytes = file->bytes();
    text.rows.push_back({text.bos, nullptr});
    for (const int32_t id :
         tokenizer->encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) {
        text.rows.push_back({id, nullptr});
    }
    if (text.window < 4 || text.rows.size() < text.window) {
        return Status(StatusCode::bad_argument, "the text is shorter than one window of tokens",
                      options.file, static_cast<int64_t>(options.window));
    }
    return text;
}

EngineOptions perplexity_engine_options(const Options& options) {
    // The cache of the programs whose figures people compare with.
    EngineOptions settings = engine_options(options, KvType::f16);
    settings.max_wanted = std::min(settings.chunk, kPerplexityRows);
    if (settings.context == 0) settings.context = std::max<size_t>(options.window, 16);
    return settings;
}

Failure perplexity_command(const Options& options) {
    if (!options.compare.empty()) return compare_perplexity(options);
    Failure failure;
    const std::unique_ptr<Engine> engine =
        open_engine(options, perplexity_engine_options(options), failure);
    if (engine == nullptr) return failure;
    Result<MeasuredText> text = read_measured_text(options, *engine);
    if (!text) return text.error();
    Result<std::unique_ptr<Session>> session = Session::create(*engine);
    if (!session) return session.error();
    Sums sums;
    const Status status = measure(**session, *text, sums);
    if (!status.ok()) return status;
    Json result = Json::object();
    const double mean = sums.total / static_cast<double>(sums.n_counted);
    result.set("perplexity", Json::of_number(std::exp(mean)));
    result.set("tokens", Json::of_integer(static_cast<int64_t>(sums.n_counted)));
    std::printf("%s\n", write_json(result).c_str());
    return {};
}

}  // namespace gemlet

// gemlet perplexity: the field's convention. The text is cut into windows, the first token of each
// is replaced by BOS, and the predictions of each window's second half count.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "core/engine/session.h"
#include "core/files/mapped_file.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/progress.h"
#include "frontends/text/tokenizer/tokenizer.h"

namespace gemlet {
namespace {

constexpr size_t kRowsAtOnce = 64;  // of logits kept in memory

/// -log of the probability that the logits give to `id`.
double surprise(std::span<const float> logits, int32_t id) {
    double largest = -1e30;
    for (const float logit : logits) largest = std::max(largest, static_cast<double>(logit));
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
    return std::log(sum) + largest - static_cast<double>(logits[static_cast<size_t>(id)]);
}

struct Sums {
    std::span<const PromptRow> window;
    double total = 0;
    size_t n_counted = 0;
};

/// Position p predicts p + 1; those in the second half count.
void count_position(void* context, size_t position, std::span<const float> logits) {
    Sums& sums = *static_cast<Sums*>(context);
    if (position < sums.window.size() / 2 || position + 1 >= sums.window.size()) return;
    sums.total += surprise(logits, sums.window[position + 1].token);
    ++sums.n_counted;
}

Result<std::vector<PromptRow>> read_tokens(const Options& options, const Engine& engine,
                                           int32_t& bos) {
    Result<MappedFile> file = MappedFile::open(options.file);
    GEMLET_TRY(file);
    Result<Tokenizer> tokenizer = open_tokenizer(engine.checkpoint());
    GEMLET_TRY(tokenizer);
    bos = tokenizer->vocabulary().bos();
    const std::span<const uint8_t> bytes = file->bytes();
    std::vector<PromptRow> rows{{bos, nullptr}};
    for (const int32_t id :
         tokenizer->encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) {
        rows.push_back({id, nullptr});
    }
    return rows;
}

Status measure(Session& session, std::span<PromptRow> rows, size_t window, int32_t bos,
               Sums& sums) {
    ProgressBar bar("perplexity", rows.size() / window);
    for (size_t begin = 0; begin + window <= rows.size(); begin += window) {
        rows[begin].token = bos;
        sums.window = rows.subspan(begin, window);
        GEMLET_TRY(session.truncate(0));
        GEMLET_TRY(session.append_all(sums.window, {count_position, &sums}));
        bar.update(begin / window + 1);
    }
    return {};
}

}  // namespace

Failure perplexity_command(const Options& options) {
    EngineOptions settings = engine_options(options);
    settings.max_wanted = std::min(settings.chunk, kRowsAtOnce);
    if (settings.context == 0) settings.context = std::max<size_t>(options.window, 16);
    Failure failure;
    const std::unique_ptr<Engine> engine = open_engine(options, settings, failure);
    if (engine == nullptr) return failure;
    int32_t bos = 0;
    Result<std::vector<PromptRow>> rows = read_tokens(options, *engine, bos);
    if (!rows) return rows.error();
    if (options.window < 4 || rows->size() < options.window) {
        return Status(StatusCode::bad_argument, "the text is shorter than one window of tokens",
                      options.file, static_cast<int64_t>(options.window));
    }
    Result<std::unique_ptr<Session>> session = Session::create(*engine);
    if (!session) return session.error();
    Sums sums;
    const Status status = measure(**session, *rows, options.window, bos, sums);
    if (!status.ok()) return status;
    Json result = Json::object();
    const double mean = sums.total / static_cast<double>(sums.n_counted);
    result.set("perplexity", Json::of_number(std::exp(mean)));
    result.set("tokens", Json::of_integer(static_cast<int64_t>(sums.n_counted)));
    std::printf("%s\n", write_json(result).c_str());
    return {};
}

}  // namespace gemlet

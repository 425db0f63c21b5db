// gemlet quantize: the work is quant/convert's; here files and prompts become its arguments.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "frontends/cli/calibration_prompts.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/interrupt.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/progress.h"
#include "frontends/cli/quantize_vocabulary.h"
#include "quant/convert/linear_algebra.h"
#include "quant/convert/mobile.h"
#include "quant/convert/quantize.h"

namespace gemlet {
namespace {

Method method_of(const std::string& name) {
    if (name == "round") return Method::round;
    if (name == "search" || (name.empty() && !have_linear_algebra())) return Method::search;
    return Method::gptq;
}

void print(const QuantizeReport& report) {
    Json result = Json::object();
    const auto set = [&](const char* key, uint64_t value) {
        result.set(key, Json::of_integer(static_cast<int64_t>(value)));
    };
    set("source_bytes", report.source_bytes);
    set("bytes", report.bytes);
    set("tensors", report.n_tensors);
    set("quantised", report.n_quantised);
    set("calibration_tokens", report.n_calibration_rows);
    std::printf("%s\n", write_json(result).c_str());
}

void show_progress(void* context, size_t done, size_t total) {
    // In thousandths, so that the bar's figures stay short.
    static_cast<ProgressBar*>(context)->update(done / std::max<size_t>(1, total / 1000));
}

}  // namespace

Failure quantize_command(const Options& options) {
    const std::optional<Scheme> scheme = scheme_from_name(options.scheme);
    if (!scheme) {
        return Status(StatusCode::bad_argument, "no such scheme; see gemlet quantize --help",
                      options.scheme);
    }
    std::string fault_file;
    const Result<Checkpoint> source = Checkpoint::open(options.model, &fault_file);
    if (!source) return {source.error(), fault_file};
    const Result<Tokenizer> tokenizer = open_tokenizer(*source);
    if (!tokenizer) return {tokenizer.error(), options.model};
    std::optional<GgufVocabulary> vocabulary;
    if (!source->is_gguf()) {
        Result<GgufVocabulary> made = gguf_vocabulary(options.model, *tokenizer);
        if (!made) return {made.error(), options.model};
        vocabulary = std::move(*made);
    }
    ProgressBar bar("quantizing", 1000);
    const InterruptScope interrupt(false);
    QuantizeOptions settings;
    settings.scheme = *scheme;
    settings.method = method_of(options.method);
    settings.n_threads = options.threads;
    settings.resume = options.resume;
    settings.cancel = &InterruptScope::flag();
    settings.progress = show_progress;
    settings.context = &bar;
    std::vector<CalibrationPrompt> prompts;
    // Static scales of activations are measured whatever the method.
    if (settings.method != Method::round || scheme->container == Container::mobile) {
        const Status status = collect_prompts(options, *tokenizer, prompts, fault_file);
        if (!status.ok()) return {status, fault_file};
    }
    const bool is_mobile = scheme->container == Container::mobile;
    const Result<QuantizeReport> report =
        is_mobile ? quantize_to_mobile(*source, options.out, settings, std::move(prompts))
                  : quantize_to_gguf(*source, options.out, settings, std::move(prompts),
                                     vocabulary ? &*vocabulary : nullptr);
    if (!report) {
        Failure failure(report.error());
        if (failure.status.code() == StatusCode::cancelled) failure.exit_code = kInterruptedExit;
        return failure;
    }
    print(*report);
    return {};
}

}  // namespace gemlet

// gemlet bench: prefill and decode speed as medians over runs, and as shares of what the same
// workers can read and multiply at best. Prompts are random tokens: speed does not depend on the
// text. One session reads the prompt; those decoded with it (--parallel) start from copies.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "core/engine/batch.h"
#include "core/engine/sampler.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/cpu_name.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/progress.h"

namespace gemlet {
namespace {

using Clock = std::chrono::steady_clock;

/// As `run` reads them with its usual settings.
const size_t kBestRead = n_deciding(SamplerOptions{}, 0);

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Rates of the runs, tokens per second.
struct Rates {
    size_t n_tokens = 0;
    std::vector<double> runs;

    double median() const {
        std::vector<double> sorted = runs;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }
    Json json(double share) const {
        Json out = Json::object();
        out.set("tokens", Json::of_integer(static_cast<int64_t>(n_tokens)));
        out.set("tokens_per_s", Json::of_number(median()));
        out.set("min", Json::of_number(*std::min_element(runs.begin(), runs.end())));
        out.set("max", Json::of_number(*std::max_element(runs.begin(), runs.end())));
        out.set("share", Json::of_number(share));
        return out;
    }
};

struct Measured {
    Rates prefill;
    Rates decode;
    std::vector<double> first_token_ms;
};

std::vector<PromptRow> random_prompt(size_t n, size_t vocab, uint64_t seed) {
    std::vector<PromptRow> rows(n);
    uint64_t state = seed;
    for (PromptRow& row : rows) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        row.token = static_cast<int32_t>((state >> 33U) % vocab);
    }
    return rows;
}

int32_t likeliest(std::span<const float> logits) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// Appends rows to the first slot.
Status read_rows(Batch& batch, std::span<const PromptRow> rows) {
    if (rows.empty()) return {};
    const Turn turn = {0, rows, true, kBestRead};
    return batch.append({&turn, 1});
}

/// Gives every slot what the first holds.
Status spread(Batch& batch) {
    for (size_t slot = 1; slot < batch.n_slots(); ++slot) {
        GEMLET_TRY(batch.copy(0, slot, batch.size(0)));
    }
    return {};
}

/// Decodes a token in every slot at every step.
Status decode_together(Batch& batch, size_t n_steps) {
    const int32_t first = batch.logits(0).empty() ? 2 : likeliest(batch.logits(0));
    std::vector<PromptRow> tokens(batch.n_slots());
    std::vector<Turn> turns;
    for (size_t slot = 0; slot < tokens.size(); ++slot) {
        tokens[slot].token = first;
        turns.push_back({slot, {&tokens[slot], 1}, true, kBestRead});
    }
    for (size_t i = 0; i < n_steps; ++i) {
        GEMLET_TRY(batch.append(turns));
        for (const Turn& turn : turns) tokens[turn.slot].token = likeliest(batch.logits(turn.slot));
    }
    return {};
}

/// One run: depth rows beforehand, the prompt, then decoded tokens.
Status run_once(Batch& batch, const Options& options, std::span<const PromptRow> rows,
                Measured& out) {
    const size_t depth = options.bench_depth;
    const size_t n_prompt = options.bench_prompt;
    for (size_t slot = 0; slot < batch.n_slots(); ++slot) GEMLET_TRY(batch.truncate(slot, 0));
    GEMLET_TRY(read_rows(batch, rows.first(depth)));
    Clock::time_point start = Clock::now();
    GEMLET_TRY(read_rows(batch, rows.subspan(depth, n_prompt)));
    const double prefill_s = seconds_since(start);
    if (n_prompt != 0) {
        out.prefill.runs.push_back(static_cast<double>(n_prompt) / prefill_s);
        out.first_token_ms.push_back(prefill_s * 1e3);
    }
    GEMLET_TRY(spread(batch));
    start = Clock::now();
    GEMLET_TRY(decode_together(batch, options.bench_decode));
    if (options.bench_decode != 0) {
        const size_t n_tokens = options.bench_decode * batch.n_slots();
        out.decode.runs.push_back(static_cast<double>(n_tokens) / seconds_since(start));
    }
    return {};
}

Status measure(Engine& engine, const Options& options, Measured& out) {
    Result<std::unique_ptr<Batch>> batch = Batch::create(engine, options.bench_parallel);
    GEMLET_TRY(batch);
    const std::vector<PromptRow> rows =
        random_prompt(options.bench_depth + options.bench_prompt, engine.config().vocab_size,
                      options.seed.value_or(1));
    Measured warm_up;
    Options once = options;
    once.bench_decode = std::min<size_t>(options.bench_decode, 4);
    GEMLET_TRY(run_once(**batch, once, rows, warm_up));
    ProgressBar bar("bench", options.bench_runs);
    for (size_t run = 0; run < options.bench_runs; ++run) {
        GEMLET_TRY(run_once(**batch, options, rows, out));
        bar.update(run + 1);
    }
    out.prefill.n_tokens = options.bench_prompt;
    out.decode.n_tokens = options.bench_decode * options.bench_parallel;
    return {};
}

/// Bytes of keys and values that a decode step reads at a given length.
double kv_bytes_per_token(const ModelConfig& config, KvType type, size_t length) {
    const double element = type == KvType::f32 ? 4 : type == KvType::f16 ? 2 : 1;
    double total = 0;
    for (const LayerConfig& layer : config.layers) {
        const size_t seen = layer.is_global ? length : std::min(length, config.window);
        total += 2 * element * static_cast<double>(layer.n_kv_heads * layer.head_dim * seen);
    }
    return total;
}

double peak_rss_mb() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

void print_readable(const Json& result) {
    std::printf("%s, %s threads, %s\n", result.find("cpu")->text.c_str(),
                result.find("threads")->text.c_str(), result.find("isa")->text.c_str());
    for (const char* name : {"prefill", "decode"}) {
        const Json* rates = result.find(name);
        if (rates->is_null()) continue;
        std::printf("%-8s %5s tokens  %8.1f tokens/s  (%.1f to %.1f)  %.0f %% of %s\n", name,
                    rates->find("tokens")->text.c_str(), rates->find("tokens_per_s")->number,
                    rates->find("min")->number, rates->find("max")->number,
                    100 * rates->find("share")->number,
                    name[0] == 'p' ? "the integer peak" : "the read bandwidth");
    }
    std::printf("load %.0f ms, first token %.0f ms, peak memory %.0f MB\n",
                result.find("load_ms")->number, result.find("first_token_ms")->number,
                result.find("peak_rss_mb")->number);
    std::printf("ceilings: %.1f GB/s read, %.0f G multiply-adds/s\n",
                result.find("read_gb_per_s")->number, result.find("gmac_per_s")->number);
}

Json report(const Engine& engine, const Options& options, const Measured& measured,
            const Ceilings& ceilings) {
    const EngineFacts facts = engine.facts();
    Json out = Json::object();
    out.set("prefill", Json());
    out.set("decode", Json());
    if (!measured.prefill.runs.empty()) {
        out.set("prefill",
                measured.prefill.json(measured.prefill.median() *
                                      static_cast<double>(facts.prefill_multiplications) /
                                      ceilings.multiply_adds_per_s));
    }
    if (!measured.decode.runs.empty()) {
        const size_t length = options.bench_depth + options.bench_prompt + options.bench_decode / 2;
        // The sessions of a step share the weights.
        const double bytes = static_cast<double>(facts.weight_bytes_per_token) /
                                 static_cast<double>(options.bench_parallel) +
                             kv_bytes_per_token(engine.config(), *engine.options().kv_type, length);
        out.set("decode",
                measured.decode.json(measured.decode.median() * bytes / ceilings.read_bytes_per_s));
        out.set("decode_bytes_per_token", Json::of_number(bytes));
    }
    std::vector<double> first = measured.first_token_ms;
    std::sort(first.begin(), first.end());
    out.set("first_token_ms", Json::of_number(first.empty() ? 0 : first[first.size() / 2]));
    out.set("threads", Json::of_integer(static_cast<int64_t>(facts.n_threads)));
    out.set("isa", Json::of(isa_name(facts.isa)));
    out.set("cpu", Json::of(cpu_name()));
    out.set("read_gb_per_s", Json::of_number(ceilings.read_bytes_per_s / 1e9));
    out.set("gmac_per_s", Json::of_number(ceilings.multiply_adds_per_s / 1e9));
    return out;
}

}  // namespace

Failure bench_command(const Options& options) {
    EngineOptions settings = engine_options(options);
    const size_t needed = options.bench_depth + options.bench_prompt + options.bench_decode;
    if (settings.context == 0) settings.context = std::max<size_t>(needed, 64);
    settings.parallel = options.bench_parallel;
    if (options.bench_runs == 0 || needed == 0) {
        return Status(StatusCode::bad_argument, "nothing to measure", "-r");
    }
    const Clock::time_point start = Clock::now();
    Failure failure;
    const std::unique_ptr<Engine> engine = open_engine(options, settings, failure);
    if (engine == nullptr) return failure;
    const double load_ms = seconds_since(start) * 1e3;
    Measured measured;
    const Status status = measure(*engine, options, measured);
    if (!status.ok()) return status;
    const double peak_mb = peak_rss_mb();  // before the probes take memory of their own
    Result<Ceilings> ceilings = engine->measure_ceilings();
    if (!ceilings) return ceilings.error();
    Json result = report(*engine, options, measured, *ceilings);
    result.set("load_ms", Json::of_number(load_ms));
    result.set("peak_rss_mb", Json::of_number(peak_mb));
    if (options.json) {
        std::printf("%s\n", write_json(result).c_str());
    } else {
        print_readable(result);
    }
    return {};
}

}  // namespace gemlet

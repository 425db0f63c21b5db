// One lock for all: requests are few beside the work they ask for.
#include "frontends/server/metrics.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include "core/json.h"

namespace gemlet::server {
namespace {

double seconds(int64_t ns) { return static_cast<double>(ns) / 1e9; }

std::string number(double value) { return Json::of_number(value).text; }

void write_head(std::string& out, const char* name, const char* type, const char* help) {
    out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void write_value(std::string& out, const char* name, const char* type, const char* help,
                 double value) {
    write_head(out, name, type, help);
    out += std::string(name) + " " + number(value) + "\n";
}

}  // namespace

void Metrics::Histogram::add(double seconds) {
    size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    ++counts[bucket];
    sum += seconds;
}

void Metrics::count_request(std::string_view path, int status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++requests_[{std::string(path), status}];
}

void Metrics::count_answer(const AnswerCounts& counts) {
    const std::lock_guard<std::mutex> lock(mutex_);
    n_prompt_ += counts.n_prompt - counts.n_cached;
    n_cached_ += counts.n_cached;
    n_generated_ += counts.n_completion;
    n_reasoning_ += counts.n_reasoning;
    prompt_seconds_ += seconds(counts.prompt_ns);
    decode_seconds_ += seconds(counts.decode_ns);
    mask_seconds_ += seconds(counts.mask_ns);
    first_token_.add(seconds(counts.queue_ns + counts.prompt_ns));
    if (counts.n_completion > 1) {
        per_token_.add(seconds(counts.decode_ns) / static_cast<double>(counts.n_completion - 1));
    }
}

void Metrics::count_cancellation() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++n_cancelled_;
}

void Metrics::count_medium(chat::MediaKind kind, int64_t encoding_ns) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++n_media_;
    (kind == chat::MediaKind::audio ? audio_seconds_ : vision_seconds_) += seconds(encoding_ns);
}

void Metrics::count_sound(double sound_seconds, int64_t took_ns) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sound_seconds_ += sound_seconds;
    sound_work_seconds_ += seconds(took_ns);
}

void Metrics::write_histogram(std::string& out, const char* name, const char* help,
                              const Histogram& histogram) {
    write_head(out, name, "histogram", help);
    uint64_t total = 0;
    for (size_t i = 0; i < histogram.counts.size(); ++i) {
        total += histogram.counts[i];
        const std::string bound = i < kBounds.size() ? number(kBounds[i]) : "+Inf";
        out += std::string(name) + "_bucket{le=\"" + bound + "\"} " + std::to_string(total) + "\n";
    }
    out += std::string(name) + "_sum " + number(histogram.sum) + "\n" + name + "_count " +
           std::to_string(total) + "\n";
}

std::string Metrics::text(const Gauges& gauges, bool compat) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string out;
    write_head(out, "gemma_requests_total", "counter", "Requests by path and status.");
    for (const auto& [key, count] : requests_) {
        out += "gemma_requests_total{path=\"" + key.first + "\",status=\"" +
               std::to_string(key.second) + "\"} " + std::to_string(count) + "\n";
    }
    const auto counter = [&](const char* name, const char* help, double value) {
        write_value(out, name, "counter", help, value);
    };
    const auto gauge = [&](const char* name, const char* help, double value) {
        write_value(out, name, "gauge", help, value);
    };
    const auto prompt = static_cast<double>(n_prompt_);
    const auto generated = static_cast<double>(n_generated_);
    counter("gemma_prompt_tokens_total", "Prompt tokens computed.", prompt);
    counter("gemma_cached_tokens_total", "Prompt tokens reused.", static_cast<double>(n_cached_));
    counter("gemma_generated_tokens_total", "Tokens drawn.", generated);
    counter("gemma_reasoning_tokens_total", "Of these, in thoughts.",
            static_cast<double>(n_reasoning_));
    counter("gemma_prompt_seconds_total", "Time spent on prompts.", prompt_seconds_);
    counter("gemma_decode_seconds_total", "Time spent on answers.", decode_seconds_);
    counter("gemma_mask_seconds_total", "Of these, on what grammars allow.", mask_seconds_);
    counter("gemma_media_total", "Pictures and sounds in messages.", static_cast<double>(n_media_));
    counter("gemma_vision_encode_seconds_total", "Time spent on encoding pictures.",
            vision_seconds_);
    counter("gemma_audio_encode_seconds_total", "Time spent on encoding sounds.", audio_seconds_);
    counter("gemma_audio_seconds_total", "Length of recordings transcribed.", sound_seconds_);
    counter("gemma_audio_work_seconds_total", "Time spent on them.", sound_work_seconds_);
    counter("gemma_cancellations_total", "Answers nobody waited for.",
            static_cast<double>(n_cancelled_));
    gauge("gemma_slots", "Slots.", static_cast<double>(gauges.slots));
    gauge("gemma_slots_busy", "Slots that answer.", static_cast<double>(gauges.slots_busy));
    gauge("gemma_queue", "Requests that wait.", static_cast<double>(gauges.queued));
    gauge("gemma_recordings", "Recordings transcribed, or waiting for it.",
          static_cast<double>(gauges.recordings));
    gauge("gemma_context_used", "Positions in use, all slots.",
          static_cast<double>(gauges.context_used));
    gauge("gemma_resident_bytes", "Resident memory.", static_cast<double>(gauges.resident_bytes));
    write_histogram(out, "gemma_first_token_seconds", "From request to first token.", first_token_);
    write_histogram(out, "gemma_token_seconds", "Mean time a token, by answer.", per_token_);
    if (!compat) return out;
    const auto rate = [](double n, double s) { return s > 0 ? n / s : 0; };
    counter("llamacpp:prompt_tokens_total", "Prompt tokens computed.", prompt);
    counter("llamacpp:prompt_seconds_total", "Time spent on prompts.", prompt_seconds_);
    counter("llamacpp:tokens_predicted_total", "Tokens drawn.", generated);
    counter("llamacpp:tokens_predicted_seconds_total", "Time spent on answers.", decode_seconds_);
    gauge("llamacpp:prompt_tokens_seconds", "Mean prompt speed.", rate(prompt, prompt_seconds_));
    gauge("llamacpp:predicted_tokens_seconds", "Mean speed of answers.",
          rate(generated, decode_seconds_));
    gauge("llamacpp:requests_processing", "Slots that answer.",
          static_cast<double>(gauges.slots_busy));
    gauge("llamacpp:requests_deferred", "Requests that wait.", static_cast<double>(gauges.queued));
    return out;
}

uint64_t resident_bytes_now() {
    std::ifstream file("/proc/self/statm");
    uint64_t total = 0;
    uint64_t resident = 0;
    file >> total >> resident;
    return file ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace gemlet::server

// What the server has done, in the text format of Prometheus.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "frontends/server/answer/answer_job.h"
#include "frontends/text/chat/media.h"

namespace gemlet::server {

/// Values that are read when somebody asks.
struct Gauges {
    size_t slots_busy = 0;
    size_t slots = 0;
    size_t queued = 0;
    size_t context_used = 0;  // positions, all slots
    size_t recordings = 0;    // transcribed or waiting for it
    uint64_t resident_bytes = 0;
};

/// May be used from any thread.
class Metrics {
  public:
    void count_request(std::string_view path, int status);
    void count_answer(const AnswerCounts& counts);
    void count_cancellation();
    /// A picture, a video or a sound of a message.
    void count_medium(chat::MediaKind kind, int64_t encoding_ns);
    void count_sound(double seconds, int64_t took_ns);

    /// `compat` adds the names of llama-server.
    std::string text(const Gauges& gauges, bool compat) const;

  private:
    /// Upper bounds in seconds; a last bucket takes the rest.
    static constexpr std::array<double, 12> kBounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                       0.5,   1,    2.5,   5,    10,  30};
    struct Histogram {
        std::array<uint64_t, kBounds.size() + 1> counts = {};
        double sum = 0;

        void add(double seconds);
    };
    static void write_histogram(std::string& out, const char* name, const char* help,
                                const Histogram& histogram);

    mutable std::mutex mutex_;
    std::map<std::pair<std::string, int>, uint64_t> requests_;  // by path and status
    uint64_t n_prompt_ = 0;
    uint64_t n_cached_ = 0;
    uint64_t n_generated_ = 0;
    uint64_t n_reasoning_ = 0;
    uint64_t n_cancelled_ = 0;
    uint64_t n_media_ = 0;
    double prompt_seconds_ = 0;
    double decode_seconds_ = 0;
    double mask_seconds_ = 0;
    double vision_seconds_ = 0;
    double audio_seconds_ = 0;
    double sound_seconds_ = 0;
    double sound_work_seconds_ = 0;
    Histogram first_token_;
    Histogram per_token_;
};

/// What the process has resident, in bytes; 0 where the system does not say.
uint64_t resident_bytes_now();

}  // namespace gemlet::server

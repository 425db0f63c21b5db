// Clients leave without a word: every wait is short, and after each the connection is looked at.
#include "frontends/server/answer_writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "frontends/server/api/api_error.h"

namespace gemlet::server {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::seconds kPing{10};
constexpr std::string_view kDone = "data: [DONE]\n\n";

enum class End : uint8_t { complete, client_gone, failed };

/// Waits for jobs to end and hands out their deltas. `on_update` gets a job's index and state and
/// one delta at a time (or null), `on_end` the index of a job that is done; they return false when
/// the client is gone.
template <class OnUpdate, class OnEnd>
End follow(HttpSink& sink, const WantedJobs& jobs, OnUpdate&& on_update, OnEnd&& on_end) {
    std::vector<bool> is_done(jobs.size());
    while (true) {
        size_t n_open = 0;
        for (size_t i = 0; i < jobs.size(); ++i) {
            if (is_done[i]) continue;
            // A step serves all together: when there is news of the first, there is of the others.
            const auto most = n_open++ == 0 ? kLook : std::chrono::milliseconds(0);
            const AnswerJob::Update update = (*jobs[i])->wait(most);
            if (!sink.alive()) return End::client_gone;
            if (update.state == JobState::failed) return End::failed;
            if (!on_update(i, update.state, nullptr)) return End::client_gone;
            for (const AnswerDelta& delta : update.deltas) {
                if (!on_update(i, update.state, &delta)) return End::client_gone;
            }
            is_done[i] = update.state == JobState::done;
            if (is_done[i] && !on_end(i)) return End::client_gone;
        }
        if (n_open == 0) return End::complete;
    }
}

std::vector<AnswerCounts> counts_of(const WantedJobs& jobs) {
    std::vector<AnswerCounts> counts;
    for (const std::shared_ptr<WantedJob>& job : jobs) counts.push_back((*job)->counts());
    return counts;
}

/// A comment line now and then while nothing else is sent.
class Pinger {
  public:
    bool look(HttpSink& sink) {
        if (Clock::now() - last_ < kPing) return true;
        last_ = Clock::now();
        return sink.write(": ping\n\n");
    }

  private:
    Clock::time_point last_ = Clock::now();
};

/// Ends a stream that has begun: false breaks the connection.
bool end_stream(HttpSink& sink, End end) {
    if (end == End::failed) {
        const ApiError error = unavailable("the answer was broken off: the server is ending");
        (void)sink.write(event_of(error.json()));
    }
    return false;
}

class ChatStream {
  public:
    ChatStream(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs)
        : style_(style), sink_(sink), jobs_(jobs), choices_(jobs.size()) {}

    bool run() {
        const End end = follow(
            sink_, jobs_,
            [&](size_t i, JobState state, const AnswerDelta* delta) {
                return take(i, state, delta);
            },
            [&](size_t i) { return end_choice(i); });
        if (end != End::complete) return end_stream(sink_, end);
        if (style_.include_usage) {
            Json chunk = head_json(style_.head, "chat.completion.chunk");
            chunk.set("choices", Json::array())
                .set("usage", usage_json(counts_of(jobs_), style_.n));
            if (jobs_.size() == 1) chunk.set("timings", timings_json((*jobs_[0])->counts()));
            if (!sink_.write(event_of(chunk))) return false;
        }
        return sink_.write(kDone);
    }

  private:
    struct Choice {
        bool begun = false;
        int64_t n_calls = 0;
    };

    bool take(size_t i, JobState state, const AnswerDelta* delta) {
        if (state != JobState::answering && state != JobState::done) return pinger_.look(sink_);
        if (!choices_[i].begun) {
            choices_[i].begun = true;
            Json first = Json::object();
            first.set("role", Json::of("assistant")).set("content", Json());
            if (!send(i, std::move(first))) return false;
        }
        if (delta == nullptr) return true;
        const chat::ResponseDelta& text = delta->text;
        const bool shows_thought = style_.reasoning != ReasoningFormat::hidden;
        if (shows_thought && !send_text(i, "reasoning_content", text.reasoning)) return false;
        Json logprobs;
        if (style_.vocabulary != nullptr && !delta->logprobs.empty()) {
            logprobs = chat_logprobs(*style_.vocabulary, delta->logprobs);
        }
        if (!send_text(i, "content", text.content, std::move(logprobs))) return false;
        return std::ranges::all_of(text.tool_calls,
                                   [&](const chat::ToolCall& call) { return send_call(i, call); });
    }

    bool send(size_t i, Json delta, Json logprobs = Json()) {
        return send_choice(chunk_choice(i, std::move(delta), {}, std::move(logprobs)), Json());
    }

    bool send_choice(Json choice, Json timings) {
        Json choices = Json::array();
        choices.items.push_back(std::move(choice));
        Json chunk = head_json(style_.head, "chat.completion.chunk");
        chunk.set("choices", std::move(choices));
        if (!timings.is_null()) chunk.set("timings", std::move(timings));
        return sink_.write(event_of(chunk));
    }

    bool send_text(size_t i, std::string_view name, const std::string& text,
                   Json logprobs = Json()) {
        if (text.empty()) return true;
        Json delta = Json::object();
        delta.set(name, Json::of(text));
        return send(i, std::move(delta), std::move(logprobs));
    }

    /// The head of a call, then its arguments.
    bool send_call(size_t i, const chat::ToolCall& call) {
        const auto send_one = [&](Json json) {
            Json calls = Json::array();
            calls.items.push_back(std::move(json));
            Json delta = Json::object();
            delta.set("tool_calls", std::move(calls));
            return send(i, std::move(delta));
        };
        const int64_t index = choices_[i].n_calls++;
        if (!send_one(call_json({call.name, ""}, index))) return false;
        Json function = Json::object();
        function.set("arguments", Json::of(call.arguments));
        Json rest = Json::object();
        rest.set("index", Json::of_integer(index)).set("function", std::move(function));
        return send_one(std::move(rest));
    }

    bool end_choice(size_t i) {
        AnswerJob& job = **jobs_[i];
        const bool is_last = jobs_.size() == 1 && !style_.include_usage;
        return send_choice(chunk_choice(i, Json::object(), job.finish_reason(), Json()),
                           is_last ? timings_json(job.counts()) : Json());
    }

    const AnswerStyle& style_;
    HttpSink& sink_;
    const WantedJobs& jobs_;
    std::vector<Choice> choices_;
    Pinger pinger_;
};

/// Waits for all of all answers. Returns false when there is nobody to answer.
bool gather_answers(HttpSink& sink, const WantedJobs& jobs, std::vector<WholeAnswer>& answers) {
    answers.resize(jobs.size());
    const End end = follow(
        sink, jobs,
        [&](size_t i, JobState, const AnswerDelta* delta) {
            if (delta != nullptr) answers[i].add(*delta);
            return true;
        },
        [](size_t) { return true; });
    return end == End::complete;
}

/// The end of an answer that is sent whole.
bool write_whole(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs, Json json,
                 Json choices) {
    const std::vector<AnswerCounts> counts = counts_of(jobs);
    json.set("choices", std::move(choices)).set("usage", usage_json(counts, style.n));
    if (counts.size() == 1) json.set("timings", timings_json(counts[0]));
    return sink.write(write_json(json));
}

bool write_whole_chat(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs) {
    std::vector<WholeAnswer> answers;
    if (!gather_answers(sink, jobs, answers)) return false;
    Json choices = Json::array();
    for (size_t i = 0; i < jobs.size(); ++i) {
        WholeAnswer& answer = answers[i];
        if (style.reasoning == ReasoningFormat::hidden) answer.reasoning.clear();
        Json logprobs;
        if (style.vocabulary != nullptr) {
            logprobs = chat_logprobs(*style.vocabulary, answer.logprobs);
        }
        choices.items.push_back(
            chat_choice(i, answer, (*jobs[i])->finish_reason(), std::move(logprobs)));
    }
    return write_whole(style, sink, jobs, head_json(style.head, "chat.completion"),
                       std::move(choices));
}

bool stream_texts(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs) {
    Pinger pinger;
    std::vector<size_t> offsets(jobs.size());
    const auto send = [&](Json choice) {
        Json choices = Json::array();
        choices.items.push_back(std::move(choice));
        Json chunk = head_json(style.head, "text_completion");
        chunk.set("choices", std::move(choices));
        return sink.write(event_of(chunk));
    };
    const End end = follow(
        sink, jobs,
        [&](size_t i, JobState, const AnswerDelta* delta) {
            if (delta == nullptr || delta->text.content.empty()) return pinger.look(sink);
            Json logprobs;
            if (style.vocabulary != nullptr) {
                logprobs = text_logprobs(*style.vocabulary, delta->logprobs, offsets[i]);
            }
            return send(text_choice(i, delta->text.content, {}, std::move(logprobs)));
        },
        [&](size_t i) { return send(text_choice(i, "", (*jobs[i])->finish_reason(), Json())); });
    if (end != End::complete) return end_stream(sink, end);
    if (style.include_usage) {
        Json chunk = head_json(style.head, "text_completion");
        chunk.set("choices", Json::array()).set("usage", usage_json(counts_of(jobs), style.n));
        if (!sink.write(event_of(chunk))) return false;
    }
    return sink.write(kDone);
}

bool write_whole_texts(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs) {
    std::vector<WholeAnswer> answers;
    if (!gather_answers(sink, jobs, answers)) return false;
    Json choices = Json::array();
    for (size_t i = 0; i < jobs.size(); ++i) {
        Json logprobs;
        size_t offset = 0;
        if (style.vocabulary != nullptr) {
            logprobs = text_logprobs(*style.vocabulary, answers[i].logprobs, offset);
        }
        choices.items.push_back(
            text_choice(i, answers[i].content, (*jobs[i])->finish_reason(), std::move(logprobs)));
    }
    return write_whole(style, sink, jobs, head_json(style.head, "text_completion"),
                       std::move(choices));
}

HttpResponse start(const AnswerStyle& style) {
    HttpResponse response;
    if (!style.stream) return response;
    response.type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-cache");
    return response;
}

}  // namespace

HttpResponse chat_response(AnswerStyle style, WantedJobs jobs) {
    HttpResponse response = start(style);
    response.stream = [style = std::move(style), jobs = std::move(jobs)](HttpSink& sink) {
        return style.stream ? ChatStream(style, sink, jobs).run()
                            : write_whole_chat(style, sink, jobs);
    };
    return response;
}

HttpResponse text_response(AnswerStyle style, WantedJobs jobs) {
    HttpResponse response = start(style);
    response.stream = [style = std::move(style), jobs = std::move(jobs)](HttpSink& sink) {
        return style.stream ? stream_texts(style, sink, jobs)
                            : write_whole_texts(style, sink, jobs);
    };
    return response;
}

}  // namespace gemlet::server

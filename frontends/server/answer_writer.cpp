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

/// Waits for a job to end and hands out its deltas. `on_update` gets the state and one delta at a
/// time (or null) and returns false when the client is gone.
template <class OnUpdate>
End follow(HttpSink& sink, AnswerJob& job, OnUpdate&& on_update) {
    while (true) {
        const AnswerJob::Update update = job.wait(kLook);
        if (!sink.alive()) return End::client_gone;
        if (update.state == JobState::failed) return End::failed;
        if (!on_update(update.state, nullptr)) return End::client_gone;
        for (const chat::ResponseDelta& delta : update.deltas) {
            if (!on_update(update.state, &delta)) return End::client_gone;
        }
        if (update.state == JobState::done) return End::complete;
    }
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
    ChatStream(const AnswerStyle& style, HttpSink& sink, AnswerJob& job)
        : style_(style), sink_(sink), job_(job) {}

    bool run() {
        const End end = follow(sink_, job_, [&](JobState state, const chat::ResponseDelta* delta) {
            return take(state, delta);
        });
        if (end != End::complete) return end_stream(sink_, end);
        return finish();
    }

  private:
    bool take(JobState state, const chat::ResponseDelta* delta) {
        if (state != JobState::answering && state != JobState::done) return pinger_.look(sink_);
        if (!begun_) {
            begun_ = true;
            Json first = Json::object();
            first.set("role", Json::of("assistant")).set("content", Json());
            if (!send(std::move(first))) return false;
        }
        if (delta == nullptr) return true;
        const bool shows_thought = style_.reasoning != ReasoningFormat::hidden;
        if (shows_thought && !send_text("reasoning_content", delta->reasoning)) return false;
        if (!send_text("content", delta->content)) return false;
        return std::ranges::all_of(delta->tool_calls,
                                   [&](const chat::ToolCall& call) { return send_call(call); });
    }

    bool send(Json delta) {
        Json choices = Json::array();
        choices.items.push_back(chunk_choice(std::move(delta), {}));
        return send_choices(std::move(choices), Json());
    }

    bool send_choices(Json choices, Json timings) {
        Json chunk = head_json(style_.head, "chat.completion.chunk");
        chunk.set("choices", std::move(choices));
        if (!timings.is_null()) chunk.set("timings", std::move(timings));
        return sink_.write(event_of(chunk));
    }

    bool send_text(std::string_view name, const std::string& text) {
        if (text.empty()) return true;
        Json delta = Json::object();
        delta.set(name, Json::of(text));
        return send(std::move(delta));
    }

    /// The head of a call, then its arguments.
    bool send_call(const chat::ToolCall& call) {
        const auto send_one = [&](Json json) {
            Json calls = Json::array();
            calls.items.push_back(std::move(json));
            Json delta = Json::object();
            delta.set("tool_calls", std::move(calls));
            return send(std::move(delta));
        };
        if (!send_one(call_json({call.name, ""}, n_calls_))) return false;
        Json function = Json::object();
        function.set("arguments", Json::of(call.arguments));
        Json rest = Json::object();
        rest.set("index", Json::of_integer(n_calls_++)).set("function", std::move(function));
        return send_one(std::move(rest));
    }

    bool finish() {
        const AnswerCounts counts = job_.counts();
        Json choices = Json::array();
        choices.items.push_back(chunk_choice(Json::object(), job_.finish_reason()));
        if (style_.include_usage) {
            if (!send_choices(std::move(choices), Json())) return false;
            Json chunk = head_json(style_.head, "chat.completion.chunk");
            chunk.set("choices", Json::array())
                .set("usage", usage_json({&counts, 1}))
                .set("timings", timings_json(counts));
            if (!sink_.write(event_of(chunk))) return false;
        } else if (!send_choices(std::move(choices), timings_json(counts))) {
            return false;
        }
        return sink_.write(kDone);
    }

    const AnswerStyle& style_;
    HttpSink& sink_;
    AnswerJob& job_;
    Pinger pinger_;
    bool begun_ = false;
    int64_t n_calls_ = 0;
};

bool write_whole_chat(const AnswerStyle& style, HttpSink& sink, AnswerJob& job) {
    WholeAnswer answer;
    const End end = follow(sink, job, [&](JobState, const chat::ResponseDelta* delta) {
        if (delta != nullptr) answer.add(*delta);
        return true;
    });
    if (end != End::complete) return false;
    if (style.reasoning == ReasoningFormat::hidden) answer.reasoning.clear();
    const AnswerCounts counts = job.counts();
    Json choices = Json::array();
    choices.items.push_back(chat_choice(answer, job.finish_reason()));
    Json json = head_json(style.head, "chat.completion");
    json.set("choices", std::move(choices))
        .set("usage", usage_json({&counts, 1}))
        .set("timings", timings_json(counts));
    return sink.write(write_json(json));
}

/// Text comes in the order of the prompts: what a later one says meanwhile waits in its job.
bool stream_texts(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs) {
    Pinger pinger;
    std::vector<AnswerCounts> counts;
    const auto send = [&](size_t index, std::string_view text, std::string_view reason) {
        Json choices = Json::array();
        choices.items.push_back(text_choice(index, text, reason));
        Json chunk = head_json(style.head, "text_completion");
        chunk.set("choices", std::move(choices));
        return sink.write(event_of(chunk));
    };
    for (size_t i = 0; i < jobs.size(); ++i) {
        AnswerJob& job = **jobs[i];
        const End end = follow(sink, job, [&](JobState, const chat::ResponseDelta* delta) {
            if (delta == nullptr || delta->content.empty()) return pinger.look(sink);
            return send(i, delta->content, {});
        });
        if (end != End::complete) return end_stream(sink, end);
        if (!send(i, "", job.finish_reason())) return false;
        counts.push_back(job.counts());
    }
    if (style.include_usage) {
        Json chunk = head_json(style.head, "text_completion");
        chunk.set("choices", Json::array()).set("usage", usage_json(counts));
        if (!sink.write(event_of(chunk))) return false;
    }
    return sink.write(kDone);
}

bool write_whole_texts(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs) {
    std::vector<AnswerCounts> counts;
    Json choices = Json::array();
    for (size_t i = 0; i < jobs.size(); ++i) {
        AnswerJob& job = **jobs[i];
        std::string text;
        const End end = follow(sink, job, [&](JobState, const chat::ResponseDelta* delta) {
            if (delta != nullptr) text += delta->content;
            return true;
        });
        if (end != End::complete) return false;
        counts.push_back(job.counts());
        choices.items.push_back(text_choice(i, text, job.finish_reason()));
    }
    Json json = head_json(style.head, "text_completion");
    json.set("choices", std::move(choices)).set("usage", usage_json(counts));
    if (counts.size() == 1) json.set("timings", timings_json(counts[0]));
    return sink.write(write_json(json));
}

HttpResponse start(const AnswerStyle& style) {
    HttpResponse response;
    if (!style.stream) return response;
    response.type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-cache");
    return response;
}

}  // namespace

HttpResponse chat_response(AnswerStyle style, std::shared_ptr<WantedJob> job) {
    HttpResponse response = start(style);
    response.stream = [style = std::move(style), job = std::move(job)](HttpSink& sink) {
        return style.stream ? ChatStream(style, sink, **job).run()
                            : write_whole_chat(style, sink, **job);
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

// Clients leave without a word: every wait is short, and after each the connection is looked at.
#include "frontends/server/answer_writer.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "frontends/server/api/api_error.h"
#include "frontends/server/endpoints.h"

namespace gemlet::server {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::seconds kPing{10};
constexpr std::string_view kDone = "data: [DONE]\n\n";

enum class End : uint8_t { complete, client_gone, cut_off, failed };
using Alive = std::function<bool()>;

/// Waits for jobs to end and hands out their deltas. `on_update` gets a job's index and state and
/// one delta at a time (or null), `on_end` the index of a job that is done; they return false when
/// the client is gone.
template <class OnUpdate, class OnEnd>
End follow(const Alive& alive, const WantedJobs& jobs, OnUpdate&& on_update, OnEnd&& on_end) {
    std::vector<bool> is_done(jobs.size());
    while (true) {
        size_t n_open = 0;
        for (size_t i = 0; i < jobs.size(); ++i) {
            if (is_done[i]) continue;
            // A step serves all together: when there is news of the first, there is of the others.
            const auto most = n_open++ == 0 ? kLook : std::chrono::milliseconds(0);
            const AnswerJob::Update update = (*jobs[i])->wait(most);
            if (alive && !alive()) return End::client_gone;
            if (update.state == JobState::failed) return End::failed;
            if (update.state == JobState::cut_off) return End::cut_off;
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

/// What an answer that did not become complete is refused with.
ApiError refusal_of(End end) {
    if (end == End::client_gone) return client_gone();
    if (end == End::failed) return server_fault();
    return unavailable("the answer was broken off: the server is ending");
}

/// Ends a stream that has begun: false breaks the connection.
bool end_stream(HttpSink& sink, End end) {
    if (end != End::client_gone) (void)sink.write(event_of(refusal_of(end).json()));
    return false;
}

class ChatStream {
  public:
    ChatStream(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs)
        : style_(style), sink_(sink), jobs_(jobs), choices_(jobs.size()) {}

    bool run() {
        const End end = follow([this] { return sink_.alive(); }, jobs_,
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

/// An answer that is sent whole: the client's thread waits for all of it here, so that what goes
/// wrong on the way still has a status of its own. `choice_of` makes a choice of an answer.
template <class ChoiceOf>
HttpResponse whole_response(const AnswerStyle& style, const Alive& alive, const WantedJobs& jobs,
                            std::string_view object, ChoiceOf&& choice_of) {
    std::vector<WholeAnswer> answers(jobs.size());
    const End end = follow(
        alive, jobs,
        [&](size_t i, JobState, const AnswerDelta* delta) {
            if (delta != nullptr) answers[i].add(*delta);
            return true;
        },
        [](size_t) { return true; });
    if (end != End::complete) return error_response(refusal_of(end));
    Json choices = Json::array();
    for (size_t i = 0; i < jobs.size(); ++i) {
        choices.items.push_back(choice_of(i, answers[i], (*jobs[i])->finish_reason()));
    }
    const std::vector<AnswerCounts> counts = counts_of(jobs);
    Json json = head_json(style.head, object);
    json.set("choices", std::move(choices)).set("usage", usage_json(counts, style.n));
    if (counts.size() == 1) json.set("timings", timings_json(counts[0]));
    return json_response(json);
}

HttpResponse whole_chat(const AnswerStyle& style, const Alive& alive, const WantedJobs& jobs) {
    const auto choice_of = [&](size_t i, WholeAnswer& answer, std::string_view reason) {
        if (style.reasoning == ReasoningFormat::hidden) answer.reasoning.clear();
        Json logprobs;
        if (style.vocabulary != nullptr) {
            logprobs = chat_logprobs(*style.vocabulary, answer.logprobs);
        }
        return chat_choice(i, answer, reason, std::move(logprobs));
    };
    return whole_response(style, alive, jobs, "chat.completion", choice_of);
}

bool stream_texts(const AnswerStyle& style, HttpSink& sink, const WantedJobs& jobs) {
    Pinger pinger;
    std::vector<size_t> offsets(jobs.size());
    const auto send = [&](Json choice, Json timings) {
        Json choices = Json::array();
        choices.items.push_back(std::move(choice));
        Json chunk = head_json(style.head, "text_completion");
        chunk.set("choices", std::move(choices));
        if (!timings.is_null()) chunk.set("timings", std::move(timings));
        return sink.write(event_of(chunk));
    };
    const End end = follow(
        [&] { return sink.alive(); }, jobs,
        [&](size_t i, JobState, const AnswerDelta* delta) {
            if (delta == nullptr || delta->text.content.empty()) return pinger.look(sink);
            Json logprobs;
            if (style.vocabulary != nullptr) {
                logprobs = text_logprobs(*style.vocabulary, delta->logprobs, offsets[i]);
            }
            return send(text_choice(i, delta->text.content, {}, std::move(logprobs)), Json());
        },
        [&](size_t i) {
            const bool is_last = jobs.size() == 1 && !style.include_usage;
            return send(text_choice(i, "", (*jobs[i])->finish_reason(), Json()),
                        is_last ? timings_json((*jobs[i])->counts()) : Json());
        });
    if (end != End::complete) return end_stream(sink, end);
    if (style.include_usage) {
        Json chunk = head_json(style.head, "text_completion");
        chunk.set("choices", Json::array()).set("usage", usage_json(counts_of(jobs), style.n));
        if (jobs.size() == 1) chunk.set("timings", timings_json((*jobs[0])->counts()));
        if (!sink.write(event_of(chunk))) return false;
    }
    return sink.write(kDone);
}

HttpResponse whole_texts(const AnswerStyle& style, const Alive& alive, const WantedJobs& jobs) {
    const auto choice_of = [&](size_t i, const WholeAnswer& answer, std::string_view reason) {
        Json logprobs;
        size_t offset = 0;
        if (style.vocabulary != nullptr) {
            logprobs = text_logprobs(*style.vocabulary, answer.logprobs, offset);
        }
        return text_choice(i, answer.content, reason, std::move(logprobs));
    };
    return whole_response(style, alive, jobs, "text_completion", choice_of);
}

}  // namespace

HttpResponse event_response(std::function<bool(HttpSink& sink)> stream) {
    HttpResponse response;
    response.type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.stream = std::move(stream);
    return response;
}

HttpResponse chat_response(AnswerStyle style, WantedJobs jobs, const HttpRequest& http) {
    if (!style.stream) return whole_chat(style, http.alive, jobs);
    return event_response([style = std::move(style), jobs = std::move(jobs)](HttpSink& sink) {
        return ChatStream(style, sink, jobs).run();
    });
}

HttpResponse text_response(AnswerStyle style, WantedJobs jobs, const HttpRequest& http) {
    if (!style.stream) return whole_texts(style, http.alive, jobs);
    return event_response([style = std::move(style), jobs = std::move(jobs)](HttpSink& sink) {
        return stream_texts(style, sink, jobs);
    });
}

}  // namespace gemlet::server

// The session keeps keys and values of every token it has seen, and `known_` says which those are.
// A new prompt usually begins with them (the conversation so far), so only the rest is computed.
// Where the sliding windows no longer reach back to the fork, the session starts again from
// nothing.
#include "frontends/text/generate.h"

#include <chrono>

#include "frontends/text/answer_stream.h"
#include "frontends/text/chat/specials.h"

namespace gemlet {
namespace {

using Clock = std::chrono::steady_clock;

int64_t ns_since(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

double per_second(size_t count, int64_t ns) {
    return ns > 0 ? static_cast<double>(count) * 1e9 / static_cast<double>(ns) : 0;
}

bool is_cancelled(const GenerateRequest& request) {
    return request.cancel != nullptr && request.cancel->load(std::memory_order_relaxed);
}

}  // namespace

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const chat::Prompt& prompt) {
    std::vector<TextSegment> segments;
    segments.reserve(prompt.size());
    for (const chat::PromptSegment& segment : prompt) {
        segments.push_back({segment.text, segment.trusted});
    }
    return tokenizer.encode_segments(segments);
}

chat::ParseStart parse_start_of(const chat::Prompt& prompt) {
    const size_t n = prompt.size();
    const bool opens_thought = n >= 2 && prompt[n - 2].trusted && !prompt[n - 1].trusted &&
                               prompt[n - 2].text == chat::kChannelOpen;
    return opens_thought ? chat::ParseStart::reasoning : chat::ParseStart::content;
}

double Answer::prefill_tokens_per_s() const { return per_second(n_prompt - n_reused, prefill_ns); }
double Answer::decode_tokens_per_s() const { return per_second(n_completion, decode_ns); }

Generator::Generator(Session& session, const Tokenizer& tokenizer)
    : session_(&session), tokenizer_(&tokenizer) {
    known_.reserve(session.context());
}

/// Cuts the session back to what it shares with the prompt.
size_t Generator::reuse() {
    size_t common = known_.common(prompt_);
    if (common != session_->size() && !session_->truncate(common).ok()) {
        common = 0;
        (void)session_->truncate(0);  // cannot fail
    }
    known_.resize(common);
    return common;
}

Status Generator::prefill(const GenerateRequest& request, Answer& answer) {
    if (request.prompt.empty()) return {StatusCode::bad_argument, "the prompt is empty"};
    if (request.prompt.size() >= session_->context()) {
        return {StatusCode::context_full,
                "the prompt leaves no room for an answer (--context)",
                {},
                static_cast<int64_t>(session_->context())};
    }
    answer.n_prompt = request.prompt.size();
    prompt_.lay_out(request.prompt, request.media, session_->row_width());
    answer.n_reused = reuse();
    PrefillHooks hooks;
    hooks.cancel = request.cancel;
    if (request.on_prefill) {
        hooks.progress = [](void* context, size_t done, size_t total) {
            static_cast<const GenerateRequest*>(context)->on_prefill(done, total);
        };
        hooks.context = const_cast<GenerateRequest*>(&request);
    }
    const auto rest = std::span(prompt_.rows).subspan(answer.n_reused);
    const Status status = session_->append(rest, hooks);
    known_.assign(prompt_, session_->size());
    return status;
}

Result<Answer> Generator::run(const GenerateRequest& request) {
    GEMLET_TRY(check_sampler_options(request.sampling));
    const Vocabulary& vocabulary = tokenizer_->vocabulary();
    Answer answer;
    session_->read_largest(n_deciding(request.sampling, vocabulary.suppressed_ids().size()));
    const Clock::time_point start = Clock::now();
    const Status prefilled = prefill(request, answer);
    answer.prefill_ns = ns_since(start);
    if (prefilled.code() == StatusCode::cancelled) {
        answer.end = AnswerEnd::cancelled;
        answer.response.finish_reason = "length";
        return answer;
    }
    GEMLET_TRY(prefilled);

    Sampler sampler(session_->logits().size(), request.sampling, vocabulary.suppressed_ids());
    AnswerStream stream(vocabulary, request.start, request.raw);
    const auto give = [&](const chat::ResponseDelta& delta) {
        if (!delta.empty()) request.on_delta(delta);
    };
    const size_t most = request.max_tokens == 0 ? session_->context() : request.max_tokens;
    const Clock::time_point decode_start = Clock::now();
    answer.end = AnswerEnd::max_tokens;
    while (answer.n_completion < most) {
        if (is_cancelled(request)) {
            answer.end = AnswerEnd::cancelled;
            break;
        }
        const int32_t id = sampler.sample(session_->logits());
        answer.end = AnswerEnd::stop_token;
        if (vocabulary.is_stop(id)) break;
        sampler.accept(id);
        ++answer.n_completion;
        give(stream.take(id));
        if (stream.done()) break;
        answer.end = AnswerEnd::max_tokens;
        if (answer.n_completion == most) break;
        const Status appended = session_->append(id);
        answer.end = AnswerEnd::context_full;
        if (appended.code() == StatusCode::context_full) break;
        GEMLET_TRY(appended);
        answer.end = AnswerEnd::max_tokens;
        known_.push(id);
    }
    answer.decode_ns = ns_since(decode_start);
    give(stream.finish(answer.end == AnswerEnd::stop_token ? chat::StopCause::stop
                                                           : chat::StopCause::length));
    answer.response = stream.response();
    return answer;
}

}  // namespace gemlet

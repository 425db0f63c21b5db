// The session keeps keys and values of every token it has seen, and `ids_` says which those are. A
// new prompt usually begins with them (the conversation so far), so only the rest is computed.
// Where the sliding windows no longer reach back to the fork, the session starts again from
// nothing.
#include "frontends/text/generate.h"

#include <algorithm>
#include <chrono>

#include "frontends/text/chat/specials.h"
#include "frontends/text/chat/tag_reader.h"
#include "frontends/text/tokenizer/detokenizer.h"

namespace gemlet {
namespace {

using Clock = std::chrono::steady_clock;

int64_t ns_since(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

double per_second(size_t count, int64_t ns) {
    return ns > 0 ? static_cast<double>(count) * 1e9 / static_cast<double>(ns) : 0;
}

/// Token ids to deltas.
class Emitter {
  public:
    Emitter(const Vocabulary& vocabulary, const GenerateRequest& request)
        : vocabulary_(vocabulary),
          request_(request),
          detokenizer_(vocabulary, false),
          parser_(request.start) {}

    void take(int32_t id) {
        if (request_.raw) {
            take_raw(detokenizer_.push(id));
        } else if (!vocabulary_.is_special(id)) {
            give(parser_.feed_token(id, detokenizer_.push(id)));
        } else {
            // Half a character before a special stays half.
            give(parser_.feed_token(kNoToken, detokenizer_.flush()));
            const bool is_markup = chat::tag_of_id(id) != chat::Tag::none ||
                                   vocabulary_.type(id) == PieceType::user_defined;
            if (is_markup) give(parser_.feed_token(id, vocabulary_.bytes(id)));
        }
    }

    /// The model began another turn: nothing that follows belongs to the answer.
    bool done() const { return !request_.raw && parser_.done(); }

    chat::ParsedResponse finish(chat::StopCause cause) {
        if (request_.raw) {
            take_raw(detokenizer_.flush());
            if (cause == chat::StopCause::length) raw_.finish_reason = "length";
            return std::move(raw_);
        }
        give(parser_.feed_token(kNoToken, detokenizer_.flush()));
        give(parser_.finish(cause));
        return parser_.response();
    }

  private:
    void take_raw(std::string_view text) {
        raw_.content += text;
        give({.reasoning = {}, .content = std::string(text), .tool_calls = {}});
    }

    void give(const chat::ResponseDelta& delta) {
        if (!delta.empty()) request_.on_delta(delta);
    }

    const Vocabulary& vocabulary_;
    const GenerateRequest& request_;
    StreamDetokenizer detokenizer_;
    chat::ResponseParser parser_;
    chat::ParsedResponse raw_;
};

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
    ids_.reserve(session.context());
    marks_.reserve(session.context());
}

/// Fills rows_ and row_marks_ with the prompt.
void Generator::lay_out(const GenerateRequest& request) {
    rows_.clear();
    for (const int32_t id : request.prompt) rows_.push_back({id, nullptr});
    row_marks_.assign(rows_.size(), 0);
    for (const PromptMedium& medium : request.media) {
        const size_t width = session_->row_width();
        for (size_t i = 0; i < medium.count; ++i) {
            rows_[medium.begin + i].soft = medium.soft + i * width;
            row_marks_[medium.begin + i] = medium.mark;
        }
    }
}

/// Cuts the session back to what it shares with the prompt. The last token is always computed: its
/// logits are wanted.
size_t Generator::reuse(std::span<const int32_t> prompt) {
    const size_t most = std::min(ids_.size(), prompt.size() - 1);
    size_t common = 0;
    const auto same = [&](size_t i) { return ids_[i] == prompt[i] && marks_[i] == row_marks_[i]; };
    while (common < most && same(common)) ++common;
    // A picture is entered as a whole: its rows may see each other.
    while (common > 0 && row_marks_[common] != 0 && row_marks_[common] == row_marks_[common - 1]) {
        --common;
    }
    if (common != session_->size() && !session_->truncate(common).ok()) {
        common = 0;
        (void)session_->truncate(0);  // cannot fail
    }
    ids_.resize(common);
    marks_.resize(common);
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
    lay_out(request);
    answer.n_reused = reuse(request.prompt);
    PrefillHooks hooks;
    hooks.cancel = request.cancel;
    if (request.on_prefill) {
        hooks.progress = [](void* context, size_t done, size_t total) {
            static_cast<const GenerateRequest*>(context)->on_prefill(done, total);
        };
        hooks.context = const_cast<GenerateRequest*>(&request);
    }
    const Status status = session_->append(std::span(rows_).subspan(answer.n_reused), hooks);
    const auto known = request.prompt.first(session_->size());
    ids_.assign(known.begin(), known.end());
    marks_.assign(row_marks_.begin(), row_marks_.begin() + static_cast<ptrdiff_t>(known.size()));
    return status;
}

Result<Answer> Generator::run(const GenerateRequest& request) {
    GEMLET_TRY(check_sampler_options(request.sampling));
    const Vocabulary& vocabulary = tokenizer_->vocabulary();
    Answer answer;
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
    Emitter emitter(vocabulary, request);
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
        emitter.take(id);
        if (emitter.done()) break;
        answer.end = AnswerEnd::max_tokens;
        if (answer.n_completion == most) break;
        const Status appended = session_->append(id);
        answer.end = AnswerEnd::context_full;
        if (appended.code() == StatusCode::context_full) break;
        GEMLET_TRY(appended);
        answer.end = AnswerEnd::max_tokens;
        ids_.push_back(id);
        marks_.push_back(0);
    }
    answer.decode_ns = ns_since(decode_start);
    answer.response = emitter.finish(answer.end == AnswerEnd::stop_token ? chat::StopCause::stop
                                                                         : chat::StopCause::length);
    return answer;
}

}  // namespace gemlet

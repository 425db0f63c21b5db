// Which tokens may come next so that the answer has the form the request asks for: calls that must
// or must not be made, thoughts that must end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "frontends/text/chat/parser.h"
#include "frontends/text/grammar/grammar.h"

namespace gemlet::server {

struct GuideRules {
    bool must_call = false;
    bool one_call = false;             // no second one
    std::vector<int32_t> call_begins;  // ids right after a call's opening tag; may be empty
    std::shared_ptr<Grammar> call;     // of what follows that tag; null: free
    std::optional<size_t> thought_budget;
    std::shared_ptr<Grammar> grammar;  // of the text; null: free
    bool may_think = false;            // grammar: a thought may come first
    bool may_call = false;             // grammar: calls may come instead
};

/// Follows one answer, token by token.
class CallGuide {
  public:
    /// `stop_ids` end an answer and must outlive the guide.
    CallGuide(GuideRules rules, chat::ParseStart start, std::span<const int32_t> stop_ids);

    /// The only token that may come next, if there is only one.
    std::optional<int32_t> forced() const;
    /// Fills a bit per id of those that may come next; false: all may.
    bool allowed(std::vector<uint32_t>& bits, size_t vocab_size);
    /// Whether allowed() may leave out something that could come next.
    bool restricts() const;
    /// Takes the next token.
    void take(int32_t id);
    /// All that is allowed has been said.
    bool complete() const { return rules_.one_call && n_calls_ > 0 && where_ != Where::call; }
    /// Neither in a thought nor in a call.
    bool in_text() const { return where_ == Where::text; }
    /// Tokens inside thoughts, their tags included.
    size_t n_thought() const { return n_thought_; }

  private:
    enum class Where : uint8_t { text, thought, call };

    GuideRules rules_;
    std::span<const int32_t> stop_ids_;
    Where where_;
    bool at_start_ = true;
    bool in_answer_ = false;  // text outside thoughts and calls has begun
    size_t n_calls_ = 0;
    size_t n_in_call_ = 0;
    size_t n_thought_ = 0;
};

}  // namespace gemlet::server

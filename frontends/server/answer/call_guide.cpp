// A call that must be made begins with the first token, or with the first after a thought. Inside a
// call its grammar says what may come; without one nothing is forced but the beginning. Source:
// chat.md section 12.
#include "frontends/server/answer/call_guide.h"

#include <utility>

#include "frontends/text/chat/specials.h"

namespace gemlet::server {

CallGuide::CallGuide(GuideRules rules, chat::ParseStart start, std::span<const int32_t> stop_ids)
    : rules_(std::move(rules)),
      stop_ids_(stop_ids),
      where_(start == chat::ParseStart::reasoning ? Where::thought : Where::text) {}

std::optional<int32_t> CallGuide::forced() const {
    switch (where_) {
        case Where::thought:
            if (rules_.thought_budget && n_thought_ >= *rules_.thought_budget) {
                return chat::kChannelCloseId;
            }
            break;
        case Where::call:
            if (n_in_call_ < rules_.call_begins.size()) return rules_.call_begins[n_in_call_];
            break;
        case Where::text:
            if (rules_.must_call && n_calls_ == 0 && !at_start_) return chat::kToolCallOpenId;
            break;
    }
    return std::nullopt;
}

bool CallGuide::restricts() const {
    const bool in_grammar = where_ == Where::call && rules_.call != nullptr;
    return in_grammar || rules_.must_call || rules_.grammar != nullptr;
}

bool CallGuide::allowed(std::vector<uint32_t>& bits, size_t vocab_size) {
    if (where_ == Where::call && rules_.call != nullptr && rules_.call->allowed(bits)) return true;
    const bool only_calls = rules_.must_call || (rules_.grammar != nullptr && n_calls_ > 0);
    if (!only_calls && rules_.grammar == nullptr) return false;
    const auto set = [&](int32_t id, bool on) {
        if (id < 0 || static_cast<size_t>(id) >= vocab_size) return;
        const auto bit = static_cast<size_t>(id);
        const uint32_t mask = 1U << bit % 32;
        bits[bit / 32] = on ? bits[bit / 32] | mask : bits[bit / 32] & ~mask;
    };
    const auto set_stops = [&](bool on) {
        for (const int32_t id : stop_ids_) set(id, on);
    };
    const size_t n_words = (vocab_size + 31) / 32;
    if (where_ != Where::text) {  // not to be left by ending
        bits.assign(n_words, ~0U);
        set_stops(false);
    } else if (only_calls) {
        bits.assign(n_words, 0);
        set(chat::kToolCallOpenId, true);
        if (at_start_) set(chat::kChannelOpenId, true);
        set_stops(n_calls_ > 0);
    } else {
        if (!rules_.grammar->allowed(bits)) set_stops(true);
        if (at_start_ && rules_.may_think) set(chat::kChannelOpenId, true);
        if (!in_answer_ && rules_.may_call) set(chat::kToolCallOpenId, true);
    }
    return true;
}

void CallGuide::take(int32_t id) {
    at_start_ = false;
    if (where_ == Where::thought || id == chat::kChannelOpenId) ++n_thought_;
    if (where_ == Where::call) {
        ++n_in_call_;
        if (rules_.call != nullptr) rules_.call->take(id);
    }
    if (id == chat::kChannelOpenId) {
        if (where_ != Where::call) where_ = Where::thought;
    } else if (id == chat::kChannelCloseId) {
        if (where_ == Where::thought) where_ = Where::text;
    } else if (id == chat::kToolCallOpenId) {
        where_ = Where::call;
        n_in_call_ = 0;
        if (rules_.call != nullptr) rules_.call->restart();
    } else if (id == chat::kToolCallCloseId && where_ == Where::call) {
        where_ = Where::text;
        ++n_calls_;
    } else if (where_ == Where::text) {
        in_answer_ = true;
        if (rules_.grammar != nullptr) rules_.grammar->take(id);
    }
}

}  // namespace gemlet::server

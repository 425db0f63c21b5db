// The parts that need no model: forms of requests, stops, guides, the choice of a slot.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "frontends/server/answer/call_guide.h"
#include "frontends/server/answer/logprobs.h"
#include "frontends/server/answer/slot_work.h"
#include "frontends/server/answer/stop_filter.h"
#include "frontends/server/api/base64.h"
#include "frontends/server/api/chat_request.h"
#include "frontends/server/api/speech_request.h"
#include "frontends/text/chat/specials.h"

namespace gemlet::server {
namespace {

std::string decoded(std::string_view text) {
    const auto bytes = decode_base64(text);
    return bytes ? std::string(bytes->begin(), bytes->end()) : "<none>";
}

TEST(Base64, decodes_what_rfc_4648_lists_and_refuses_the_rest) {
    EXPECT_EQ(decoded(""), "");
    EXPECT_EQ(decoded("Zg=="), "f");
    EXPECT_EQ(decoded("Zm8="), "fo");
    EXPECT_EQ(decoded("Zm9v"), "foo");
    EXPECT_EQ(decoded("Zm9vYg=="), "foob");
    EXPECT_EQ(decoded("Zm9vYg"), "foob");
    EXPECT_EQ(decoded("Zm9v\r\nYmFy"), "foobar");
    EXPECT_EQ(decoded("_-8="), decoded("/+8="));
    for (const char* bad : {"Z", "Zg=", "Zg===", "Zg==Zg==", "Zm9v!", "Zm 9v", "=", "Zm9vY"}) {
        EXPECT_EQ(decoded(bad), "<none>") << bad;
    }
}

TEST(StopFilter, ends_at_the_first_stop_however_the_text_is_cut) {
    const std::string text = "one two STOP three ST";
    for (size_t width = 1; width <= text.size(); ++width) {
        StopFilter filter({"STOP", "two S!", "never"});
        std::string shown;
        for (size_t i = 0; i < text.size(); i += width) {
            shown += filter.push(std::string_view(text).substr(i, width));
        }
        EXPECT_TRUE(filter.stopped());
        EXPECT_EQ(shown + filter.flush(), "one two ");
    }
    StopFilter filter({"STOP"});
    EXPECT_EQ(filter.push("a ST"), "a ");
    EXPECT_EQ(filter.push("AR ST"), "STAR ");
    EXPECT_EQ(filter.flush(), "ST");
    EXPECT_FALSE(filter.stopped());
}

TEST(CallGuide, forces_a_call_after_an_optional_thought_and_then_the_end) {
    const std::vector<int32_t> stops = {1, 106};
    GuideRules rules;
    rules.must_call = true;
    rules.call_begins = {7, 8};
    CallGuide guide(rules, chat::ParseStart::content, stops);
    const auto may = [&](int32_t id) {
        std::vector<uint32_t> bits;
        if (!guide.allowed(bits, 256)) return true;
        return (bits[static_cast<size_t>(id) / 32] >> (static_cast<size_t>(id) % 32) & 1U) != 0;
    };
    EXPECT_FALSE(guide.forced().has_value());
    EXPECT_TRUE(may(chat::kToolCallOpenId) && may(chat::kChannelOpenId));
    EXPECT_FALSE(may(9) || may(1));
    guide.take(chat::kChannelOpenId);
    EXPECT_TRUE(may(9));
    EXPECT_FALSE(may(1) || may(106));
    guide.take(9);
    guide.take(chat::kChannelCloseId);
    EXPECT_EQ(guide.forced(), chat::kToolCallOpenId);
    for (const int32_t id : {chat::kToolCallOpenId, 7, 8, 9}) {
        if (id == 7 || id == 8) {
            EXPECT_EQ(guide.forced(), id);
        }
        guide.take(id);
    }
    EXPECT_FALSE(guide.forced().has_value());
    guide.take(chat::kToolCallCloseId);
    EXPECT_TRUE(may(1) && may(chat::kToolCallOpenId));
    EXPECT_FALSE(may(9));
    EXPECT_EQ(guide.n_thought(), 3U);
}

TEST(CallGuide, ends_thoughts_at_their_budget_and_answers_after_the_one_call) {
    GuideRules rules;
    rules.one_call = true;
    rules.thought_budget = 2;
    CallGuide guide(rules, chat::ParseStart::reasoning, {});
    guide.take(9);
    EXPECT_FALSE(guide.forced().has_value());
    guide.take(9);
    EXPECT_EQ(guide.forced(), chat::kChannelCloseId);
    guide.take(chat::kChannelCloseId);
    EXPECT_FALSE(guide.forced().has_value());
    guide.take(chat::kToolCallOpenId);
    EXPECT_FALSE(guide.complete());
    guide.take(chat::kToolCallCloseId);
    EXPECT_TRUE(guide.complete());
}

PromptRows rows_of(const std::vector<int32_t>& ids) {
    PromptRows prompt;
    prompt.lay_out(ids, {}, 1);
    return prompt;
}

std::vector<int32_t> run_of(int32_t first, int32_t n) {
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < n; ++i) ids.push_back(first + i);
    return ids;
}

TEST(SlotChoice, goes_on_where_the_conversation_is_and_copies_what_only_begins_alike) {
    std::vector<SlotWork> slots(3);
    const auto fill = [&](size_t slot, const std::vector<int32_t>& ids, uint64_t used) {
        const PromptRows rows = rows_of(ids);
        slots[slot].known.assign(rows, ids.size());
        slots[slot].used = used;
    };
    fill(0, run_of(0, 100), 3);
    fill(1, run_of(1000, 100), 2);
    std::vector<int32_t> next = run_of(0, 100);
    next.push_back(7);
    Placement placement = choose_slot(slots, rows_of(next), true);
    EXPECT_EQ(placement.slot, 0U);
    EXPECT_EQ(placement.source, 0U);
    EXPECT_EQ(placement.n_common, 100U);

    std::vector<int32_t> other = run_of(0, 40);  // a system prompt in common
    other.push_back(7);
    placement = choose_slot(slots, rows_of(other), true);
    EXPECT_EQ(placement.slot, 2U) << "the empty one";
    EXPECT_EQ(placement.source, 0U);
    EXPECT_EQ(placement.n_common, 40U);

    EXPECT_EQ(choose_slot(slots, rows_of(next), false).n_common, 0U);
    placement = choose_slot(slots, rows_of({0, 1, 2, 9}), true);
    EXPECT_EQ(placement.slot, placement.source) << "three rows are not worth a copy";
}

TEST(KnownRows, never_share_part_of_a_picture_nor_the_last_row) {
    const std::vector<float> soft(8);
    const std::vector<int32_t> ids = {1, 9, 9, 9, 2, 3};
    const auto laid = [&](uint64_t mark) {
        PromptRows prompt;
        const PromptMedium medium{1, 3, soft.data(), mark};
        prompt.lay_out(ids, {&medium, 1}, 1);
        return prompt;
    };
    KnownRows known;
    known.assign(laid(5), 6);
    EXPECT_EQ(known.common(laid(5)), 5U);
    EXPECT_EQ(known.common(laid(7)), 1U);
    known.resize(3);
    EXPECT_EQ(known.common(laid(5)), 1U);
}

ApiError refusal(const std::string& body) {
    const Result<Json> parsed = parse_json(body);
    EXPECT_TRUE(parsed.has_value()) << body;
    ChatRequest request;
    return read_chat_request(*parsed, {}, {}, request);
}

std::string with(const std::string& member) {
    return R"({"messages":[{"role":"user","content":"x"}],)" + member + "}";
}

TEST(Logprobs, are_the_logarithms_of_the_shares) {
    const float nothing = -std::numeric_limits<float>::infinity();
    const float broken = std::numeric_limits<float>::quiet_NaN();
    // Shares of 1/8, 1/2, 1/4, none, none, 1/8, far from 0 where exp() would overflow.
    const float base = 1000;
    const auto of = [&](double share) { return base + static_cast<float>(std::log(share)); };
    const std::vector<float> logits = {of(0.125), of(0.5), of(0.25), nothing, broken, of(0.125)};
    const TokenLogprob two = log_probabilities(logits, 2, 4);
    const double most = 1e-4;  // half a unit in the last place of a logit near 1000, twice
    EXPECT_EQ(two.drawn.id, 2);
    EXPECT_NEAR(two.drawn.logprob, std::log(0.25), most);
    ASSERT_EQ(two.top.size(), 4U);
    const std::array<int32_t, 4> ids = {1, 2, 0, 5};
    const std::array<double, 4> shares = {0.5, 0.25, 0.125, 0.125};
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(two.top[i].id, ids[i]);
        EXPECT_NEAR(two.top[i].logprob, std::log(shares[i]), most);
    }
    EXPECT_EQ(log_probabilities(logits, 3, 0).drawn.logprob, kLeastLogprob);
    EXPECT_EQ(log_probabilities(logits, 4, 20).top.size(), logits.size());
    EXPECT_TRUE(log_probabilities(logits, 4, 0).top.empty());
}

TEST(ChatRequest, names_what_is_wrong) {
    EXPECT_TRUE(refusal(R"({"messages":[{"role":"user","content":"x"}]})").ok());
    const std::pair<std::string, std::string> cases[] = {
        {R"({})", "messages"},
        {R"({"messages":[]})", "messages"},
        {R"({"messages":[{"role":"robot","content":"x"}]})", "messages[0].role"},
        {R"({"messages":[{"role":"user","content":"x"},{"role":"user"}]})", "messages[1].content"},
        {R"({"messages":[{"role":"user","content":5}]})", "messages[0].content"},
        {R"({"messages":[{"role":"user","content":[{"type":"smell"}]}]})", "messages[0].content"},
        {R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":
            {"url":"https://example.org/a.png"}}]}]})",
         "messages[0].content"},
        {R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":
            {"url":"data:image/png;base64,!!"}}]}]})",
         "messages[0].content"},
        {R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f",
            "arguments":"[1]"}}]}]})",
         "messages[0].tool_calls"},
        {with(
             R"("tools":[{"type":"function","function":{"name":"f","parameters":{"required":5}}}])"),
         "tools"},
        {with(R"("temperature":3)"), "temperature"},
        {with(R"("temperature":"hot")"), "temperature"},
        {with(R"("top_p":0)"), "top_p"},
        {with(R"("max_tokens":0)"), "max_tokens"},
        {with(R"("max_tokens":1e30)"), "max_tokens"},
        {with(R"("stop":[1])"), "stop"},
        {with(R"("stop":"")"), "stop"},
        {with(R"("stream":"yes")"), "stream"},
        {with(R"("stream_options":{"include_usage":1})"), "stream_options.include_usage"},
        {with(R"("tools":[{"type":"function","function":{"name":"a b"}}])"), "tools"},
        {with(R"("tool_choice":"required")"), "tool_choice"},
        {with(R"("tool_choice":{"type":"function","function":{"name":"f"}})"), "tool_choice"},
        {with(R"("response_format":{"type":"yaml"})"), "response_format"},
        {with(R"("chat_template_kwargs":{"enable_thinking":"on"})"),
         "chat_template_kwargs.enable_thinking"},
        {with(R"("logit_bias":{"x":1})"), "logit_bias"},
        {with(R"("n":0)"), "n"},
        {with(R"("top_logprobs":2)"), "top_logprobs"},
        {with(R"("logprobs":true,"top_logprobs":21)"), "top_logprobs"},
        {with(R"("logprobs":5)"), "logprobs"},
    };
    for (const auto& [body, param] : cases) {
        const ApiError error = refusal(body);
        EXPECT_EQ(error.http, 400) << body;
        EXPECT_EQ(error.param, param) << body;
    }
    const auto refused_schema = [](const std::string& format) {
        return refusal(with(R"("response_format":)" + format)).http;
    };
    EXPECT_EQ(refused_schema(R"({"type":"json_object"})"), 0);
    EXPECT_EQ(refused_schema(R"({"type":"json_schema"})"), 400);
    EXPECT_EQ(refused_schema(R"({"type":"json_schema","json_schema":{"schema":[]}})"), 400);
}

TEST(SpeechRequest, reads_a_form_and_names_what_is_wrong) {
    const auto refused = [](std::vector<FormField> form) {
        SpeechRequest request;
        return read_speech_request(form, false, {}, request).param;
    };
    const FormField file = {"file", "a.wav", "RIFF"};
    EXPECT_EQ(refused({file, {"language", "", "de"}, {"response_format", "", "srt"}}), "");
    EXPECT_EQ(refused({}), "file");
    EXPECT_EQ(refused({file, {"language", "", "xx-none"}}), "language");
    EXPECT_EQ(refused({file, {"response_format", "", "doc"}}), "response_format");
    EXPECT_EQ(refused({file, {"temperature", "", "warm"}}), "temperature");
    EXPECT_EQ(refused({file, {"max_segment_seconds", "", "nan"}}), "max_segment_seconds");
    EXPECT_EQ(refused({file, {"timestamp_granularities[]", "", "word"}}),
              "timestamp_granularities");
    EXPECT_EQ(refused({file, {"prompt", "", std::string(1001, 'a')}}), "prompt");
    SpeechRequest request;
    const std::vector<FormField> form = {file, {"language", "", "de"}};
    EXPECT_TRUE(read_speech_request(form, true, {}, request).ok());
    EXPECT_EQ(request.task.language, "German");
    EXPECT_EQ(request.task.target, "English");
}

}  // namespace
}  // namespace gemlet::server

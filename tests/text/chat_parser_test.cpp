// The response parser and the reader of call arguments beyond the reference vectors: every cut of
// a text gives the same result, anything at all is survived, ids and spellings are told apart.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/json.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/chat/specials.h"

namespace gemlet::chat {
namespace {

struct Parsed {
    std::string reasoning;
    std::string content;
    std::vector<ToolCall> calls;
    std::string finish_reason;

    friend bool operator==(const Parsed&, const Parsed&) = default;
};

// Feeds the pieces and joins what they release, which must be what response() says.
Parsed parse_pieces(const std::vector<std::string_view>& pieces, ParseStart start,
                    StopCause cause) {
    ResponseParser parser(start);
    Parsed out;
    const auto take = [&out](const ResponseDelta& delta) {
        out.reasoning += delta.reasoning;
        out.content += delta.content;
        out.calls.insert(out.calls.end(), delta.tool_calls.begin(), delta.tool_calls.end());
    };
    for (const std::string_view piece : pieces) take(parser.feed(piece));
    take(parser.finish(cause));
    EXPECT_EQ(out.reasoning, parser.response().reasoning);
    EXPECT_EQ(out.content, parser.response().content);
    EXPECT_EQ(out.calls, parser.response().tool_calls);
    out.finish_reason = parser.response().finish_reason;
    return out;
}

Parsed parse_whole(std::string_view text, ParseStart start = ParseStart::content,
                   StopCause cause = StopCause::stop) {
    return parse_pieces({text}, start, cause);
}

const char* const kRawTexts[] = {
    "a <|channel>thought \t\r\nb \n<channel|> \n c <|tool_call>call:f{a:<|\"|>x<tool_call|>y<|\"|>,"
    "b:\"<turn|>\\\"\"}<tool_call|>\n<tool_call|> d<turn|>e",
    "<|turn>model\n<|channel>thought<channel|>x<|channel>other\n y<|channel>thought\nz",
    "<|turn>modem\nx",
    "<|tool_call>call:f{a:<|\"|>open}<tool_call|> then <|tool_call>call:g{}<tool_call|>",
    "<|tool_call>nothing <|tool_call>call:g{b:1}<|channel>thought\nt<tool_call|>u<channel|>v",
    " <|channel>thought\n<|tool_call>call:h<|tool_response> tail <|chan",
    "x \n<channel|> \n<tool_call|> y<|\"|>z <|tool_call>call:f{\"k<tool_call|>\":1}<tool_call|>",
    "<|channel>thought<turn|>",
    "<|channel>thoughts <eos>",
    "<<|<|tool_call><<tool_call|>",
};

TEST(ResponseParser, gives_the_same_for_every_cut) {
    for (const std::string_view text : kRawTexts) {
        for (const ParseStart start : {ParseStart::content, ParseStart::reasoning}) {
            for (const StopCause cause : {StopCause::stop, StopCause::length}) {
                const Parsed whole = parse_whole(text, start, cause);
                std::vector<std::string_view> bytes;
                for (size_t i = 0; i < text.size(); ++i) {
                    bytes.push_back(text.substr(i, 1));
                    EXPECT_EQ(parse_pieces({text.substr(0, i), text.substr(i)}, start, cause),
                              whole)
                        << text << " cut at " << i;
                }
                EXPECT_EQ(parse_pieces(bytes, start, cause), whole) << text;
            }
        }
    }
}

TEST(ResponseParser, keeps_white_space_only_between_and_after_content) {
    EXPECT_EQ(parse_whole("a \n<|channel>thought\nt<channel|>\n b \n").content, "a \nb \n");
    EXPECT_EQ(parse_whole("a \n<|channel>thought\nt<channel|>\n").content, "a");
    EXPECT_EQ(parse_whole("a <|tool_call>call:f{}<tool_call|> b").content, "a b");
    EXPECT_EQ(parse_whole("a \n<turn|>b").content, "a \n");
    EXPECT_EQ(parse_whole("a <channel|> b").content, "a  b");
    EXPECT_EQ(parse_whole(" \n<|tool_call>call:f{}<tool_call|>").content, "");
}

TEST(ResponseParser, starts_inside_a_thought) {
    const Parsed parsed = parse_whole("\n x \n<channel|> y", ParseStart::reasoning);
    EXPECT_EQ(parsed.reasoning, "x");
    EXPECT_EQ(parsed.content, "y");
    EXPECT_EQ(parse_whole("x<tool_call|>y", ParseStart::reasoning).reasoning, "x<tool_call|>y");
}

TEST(ResponseParser, does_not_carry_out_a_call_cut_by_length) {
    const std::string text = "<|tool_call>call:f{s:<|\"|>see <tool_call|> he";
    const Parsed cut = parse_whole(text, ParseStart::content, StopCause::length);
    EXPECT_TRUE(cut.calls.empty());
    EXPECT_EQ(cut.content, text);
    EXPECT_EQ(cut.finish_reason, "length");
    const Parsed ended = parse_whole(text);
    ASSERT_EQ(ended.calls.size(), 1U);
    EXPECT_EQ(ended.calls[0].arguments, R"({"s":"see "})");
    EXPECT_EQ(ended.content, "he");
}

TEST(ResponseParser, takes_only_ids_for_tags_when_fed_tokens) {
    ResponseParser parser;
    parser.feed_token(900, "<|tool_call> <turn|> ");
    parser.feed_token(kChannelOpenId, "");
    parser.feed_token(901, "thought\n");
    parser.feed_token(902, "<channel|>");
    parser.feed_token(kChannelCloseId, "");
    parser.feed_token(kToolCallOpenId, "");
    parser.feed_token(903, "call:f{a:");
    parser.feed_token(kQuoteId, "");
    parser.feed_token(904, "<|\"|> <tool_call|>");
    parser.feed_token(kQuoteId, "");
    parser.feed_token(905, "}");
    const ResponseDelta call = parser.feed_token(kToolCallCloseId, "");
    ASSERT_EQ(call.tool_calls.size(), 1U);
    EXPECT_EQ(call.tool_calls[0].arguments, R"({"a":"<|\"|> <tool_call|>"})");
    parser.feed_token(kToolResponseOpenId, "");
    parser.finish(StopCause::stop);
    EXPECT_EQ(parser.response().content, "<|tool_call> <turn|>");
    EXPECT_EQ(parser.response().reasoning, "<channel|>");
    EXPECT_EQ(parser.response().finish_reason, "tool_calls");
}

TEST(ResponseParser, survives_random_texts_and_cuts) {
    const std::vector<std::string> parts = {"<|channel>",
                                            "<channel|>",
                                            "<|tool_call>",
                                            "<tool_call|>",
                                            "<|tool_response>",
                                            "<turn|>",
                                            "<eos>",
                                            "<|turn>",
                                            "<|\"|>",
                                            "call:f",
                                            "{",
                                            "}",
                                            "[",
                                            "]",
                                            ",",
                                            ":",
                                            "\"",
                                            "'",
                                            "\\",
                                            "a",
                                            " ",
                                            "\n",
                                            "thought",
                                            "model\n",
                                            "1",
                                            "-",
                                            "<",
                                            "|",
                                            "\xC3",
                                            "\xFF",
                                            "\xE9\x9B\xA8",
                                            "\r"};
    std::mt19937 random(20240607);
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (size_t n = random() % 40; n > 0; --n) text += parts[random() % parts.size()];
        const ParseStart start = random() % 2 == 0 ? ParseStart::content : ParseStart::reasoning;
        const StopCause cause = random() % 3 == 0 ? StopCause::length : StopCause::stop;
        std::vector<std::string_view> pieces;
        for (std::string_view rest = text; !rest.empty();) {
            const size_t n = std::min<size_t>(1 + random() % 9, rest.size());
            pieces.push_back(rest.substr(0, n));
            rest.remove_prefix(n);
        }
        const Parsed whole = parse_whole(text, start, cause);
        ASSERT_EQ(parse_pieces(pieces, start, cause), whole) << text;
        for (const ToolCall& call : whole.calls) {
            EXPECT_TRUE(parse_json(call.arguments).has_value()) << call.arguments;
        }
    }
}

TEST(ResponseParser, calls_hold_json_that_every_reader_takes) {
    const auto arguments = [](const std::string& text) {
        const Parsed parsed = parse_whole("<|tool_call>call:f{" + text + "}<tool_call|>");
        return parsed.calls.size() == 1 ? parsed.calls[0].arguments : parsed.content;
    };
    // Numbers up to the largest double keep their spelling, greater ones become text.
    EXPECT_EQ(arguments("n:[1,2.5e8388608]"), R"({"n":[1,"2.5e8388608"]})");
    EXPECT_EQ(arguments("n:1.7e308,m:-1.8e308"), R"({"n":1.7e308,"m":"-1.8e308"})");
    EXPECT_EQ(arguments("n:1e-999"), R"({"n":1e-999})");
    const std::string huge(400, '9');
    EXPECT_EQ(arguments("n:" + huge), R"({"n":")" + huge + R"("})");
    EXPECT_EQ(arguments("n:184467440737095516160"), R"({"n":184467440737095516160})");
    // Keys that differ in broken bytes only are the same key once written.
    EXPECT_EQ(arguments("\xFF:1,b:2,\xFE:3"), "{\"\xEF\xBF\xBD\":3,\"b\":2}");
    EXPECT_EQ(arguments(std::string("a\0:\0", 4)), R"({"a\u0000":"\u0000"})");
}

TEST(ResponseParser, bounds_nesting_and_work) {
    std::string deep = "<|tool_call>call:f{a:";
    for (int i = 0; i < 10000; ++i) deep += "{a:";
    const Parsed parsed = parse_whole(deep);
    EXPECT_TRUE(parsed.calls.empty());
    EXPECT_EQ(parsed.content, deep);
    const std::string brackets = "call:f{a:" + std::string(10000, '[');
    EXPECT_FALSE(parse_call(brackets, {}).has_value());
    const std::string commas = "call:f{a:b" + std::string(200000, ',') + "c}";
    EXPECT_TRUE(parse_call(commas, {}).has_value());
}

struct CallCase {
    const char* text;
    const char* arguments;  // nullptr: no call
};

TEST(CallArguments, reads_the_grammar_and_repairs_what_is_clear) {
    const CallCase cases[] = {
        {"call:f", "{}"},
        {"call:f{}", "{}"},
        {"call: f { } ", "{}"},
        {"call:f{", "{}"},
        {"call:f{a:1", R"({"a":1})"},
        {"call:f{a:[1,[2", R"({"a":[1,[2]]})"},
        {"call:f{,a:1,,b:2,}", R"({"a":1,"b":2})"},
        {"call:f{a:[,1,,2,]}", R"({"a":[1,2]})"},
        {"call:f{a:-0,b:1.50,c:1e5,d:1E+2}", R"({"a":-0,"b":1.50,"c":1e5,"d":1E+2})"},
        {"call:f{a:1.,b:1e,c:-,d:01,e:--1}", R"({"a":"1.","b":"1e","c":"-","d":"01","e":"--1"})"},
        {"call:f{a:True,b:NULL,c:nulls}", R"({"a":true,"b":"NULL","c":"nulls"})"},
        {"call:f{a:x, y, b:z}", R"({"a":"x, y","b":"z"})"},
        {"call:f{a:x, y}", R"({"a":"x, y"})"},
        {"call:f{a:[x, y]}", R"({"a":["x","y"]})"},
        {"call:f{a:x,\"b\":1,c:y,<|\"|>d<|\"|>:2}", R"({"a":"x","b":1,"c":"y","d":2})"},
        {"call:f{a:12:30,b:http://x/y}", R"({"a":"12:30","b":"http://x/y"})"},
        {"call:f{my key:1}", R"({"my key":1})"},
        {"call:f{a:1,b:2,a:3}", R"({"a":3,"b":2})"},
        {"call:f{a:\"\\u00e9\\ud83d\\ude42\\n\\/\"}", R"({"a":"é🙂\n/"})"},
        {"call:f{a:\"\\ud83d\\q\"}", "{\"a\":\"\xEF\xBF\xBD\\\\q\"}"},
        {"call:f{a:'it \"is\"'}", R"({"a":"it \"is\""})"},
        {"call:f{a:<|\"|>ls }", R"({"a":"ls "})"},
        {"call:f{a:{b:[<|\"|>x]}}", R"({"a":{"b":["x"]}})"},
        {"call:f{a:{b:[<|\"|>x]", R"({"a":{"b":["x"]}})"},
        {"call:f{a:<|\"|>\\n \"q\" {}<|\"|>}", R"({"a":"\\n \"q\" {}"})"},
        {"f{}", nullptr},
        {" call:f{}", nullptr},
        {"call:{}", nullptr},
        {"call:f g{}", nullptr},
        {"call:f}", nullptr},
        {"call:f{} x", nullptr},
        {"call:f{a}", nullptr},
        {"call:f{:1}", nullptr},
        {"call:f{a:}", nullptr},
        {"call:f{a:,b:1}", nullptr},
        {"call:f{a:[1}", nullptr},
        {"call:f{a:\"x}", nullptr},
        {"call:f{a:'x}", nullptr},
        {"call:f{a:\"x\" y}", nullptr},
        {"call:f{a:<|\"|>x<|\"|>y}", nullptr},
        {"call:f{<|\"|>a}", nullptr},
    };
    for (const CallCase& test : cases) {
        const auto call = parse_call(test.text, find_quotes(test.text));
        ASSERT_EQ(call.has_value(), test.arguments != nullptr) << test.text;
        if (call) {
            EXPECT_EQ(call->name, "f");
            EXPECT_EQ(call->arguments, test.arguments);
        }
    }
}

}  // namespace
}  // namespace gemlet::chat

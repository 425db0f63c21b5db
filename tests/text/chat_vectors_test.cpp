// The reference vectors of the chat format, from the large reference data where it is, and the
// cases generated with the published templates, which are part of the repository.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "frontends/text/chat/media.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/chat/renderer.h"
#include "frontends/text/chat/template_kind.h"
#include "tests/text/chat_lines.h"

namespace gemlet::chat {
namespace {

using test::member;
using test::read_json_lines;

const std::string kShared = GEMLET_SHARED_DATA "/data/chat/";
const std::string kOwn = GEMLET_TEST_DATA "/chat/";

std::string name_of(const Json& line) {
    return member(line, "n").text + " " + member(line, "name").text;
}

void check_render_line(const Json& line) {
    TemplateKind kind = TemplateKind::e2b;
    ASSERT_TRUE(template_kind_named(member(line, "template").text, kind));
    const auto prompt = render_prompt(kind, member(line, "messages"), member(line, "tools"),
                                      render_options_from(member(line, "flags")));
    if (member(line, "prompt").is_null()) {
        EXPECT_FALSE(prompt.has_value()) << name_of(line);
        EXPECT_EQ(prompt.error().code(), StatusCode::bad_argument) << name_of(line);
        return;
    }
    ASSERT_TRUE(prompt.has_value()) << name_of(line) << ": " << prompt.error().message();
    EXPECT_EQ(join_prompt(*prompt), member(line, "prompt").text) << name_of(line);
}

TEST(ChatVectors, renders_the_reference_prompts) {
    const auto lines = read_json_lines(kShared + "render.jsonl");
    if (lines.empty()) GTEST_SKIP() << "no reference data";
    EXPECT_EQ(lines.size(), 208U);
    for (const Json& line : lines) check_render_line(line);
}

TEST(ChatVectors, renders_what_the_templates_gave_for_generated_cases) {
    const auto lines = read_json_lines(kOwn + "render_cases.jsonl");
    EXPECT_GE(lines.size(), 150U);
    for (const Json& line : lines) check_render_line(line);
}

// The bytes of the first n code points.
std::string_view take_code_points(std::string_view& text, size_t n) {
    size_t at = 0;
    while (n > 0 && at < text.size()) {
        ++at;
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80) ++at;
        --n;
    }
    const std::string_view head = text.substr(0, at);
    text.remove_prefix(at);
    return head;
}

ParseStart start_of(const Json& line) {
    return member(line, "start").text == "reasoning" ? ParseStart::reasoning : ParseStart::content;
}

StopCause cause_of(const Json& line) {
    return member(line, "finish").text == "length" ? StopCause::length : StopCause::stop;
}

// Numbers by value, everything else exactly.
void expect_same_json(const Json& a, const Json& b) {
    ASSERT_EQ(a.kind, b.kind);
    EXPECT_EQ(a.number, b.number);
    EXPECT_TRUE(a.is_number() || a.text == b.text) << a.text << " and " << b.text;
    EXPECT_EQ(a.boolean, b.boolean);
    ASSERT_EQ(a.items.size(), b.items.size());
    ASSERT_EQ(a.members.size(), b.members.size());
    for (size_t i = 0; i < a.items.size(); ++i) expect_same_json(a.items[i], b.items[i]);
    for (size_t i = 0; i < a.members.size(); ++i) {
        EXPECT_EQ(a.members[i].first, b.members[i].first);
        expect_same_json(a.members[i].second, b.members[i].second);
    }
}

void expect_same_calls(const std::vector<ToolCall>& calls, const Json& expected) {
    ASSERT_EQ(calls.size(), expected.items.size());
    for (size_t i = 0; i < calls.size(); ++i) {
        const Json& function = member(expected.items[i], "function");
        EXPECT_EQ(calls[i].name, member(function, "name").text);
        const auto ours = parse_json(calls[i].arguments);
        const auto theirs = parse_json(member(function, "arguments").text);
        ASSERT_TRUE(ours.has_value()) << calls[i].arguments;
        ASSERT_TRUE(theirs.has_value());
        expect_same_json(*ours, *theirs);
    }
}

void expect_response(const ParsedResponse& response, const Json& line) {
    EXPECT_EQ(response.reasoning, member(line, "reasoning_content").text);
    EXPECT_EQ(response.content, member(line, "content").text);
    EXPECT_EQ(response.finish_reason, member(line, "finish_reason").text);
    expect_same_calls(response.tool_calls, member(line, "tool_calls"));
}

TEST(ChatVectors, parses_the_reference_responses_in_every_split) {
    const auto lines = read_json_lines(kShared + "parse.jsonl");
    if (lines.empty()) GTEST_SKIP() << "no reference data";
    EXPECT_EQ(lines.size(), 102U);
    for (const Json& line : lines) {
        SCOPED_TRACE(name_of(line));
        std::vector<Json> splits = member(line, "splits").items;
        splits.push_back(Json::array());  // the whole text at once
        for (const Json& split : splits) {
            ResponseParser parser(start_of(line));
            std::string_view rest = member(line, "raw").text;
            for (const Json& length : split.items) {
                parser.feed(take_code_points(rest, static_cast<size_t>(length.number)));
            }
            parser.feed(rest);
            parser.finish(cause_of(line));
            expect_response(parser.response(), line);
        }
    }
}

TEST(ChatVectors, releases_text_as_early_as_the_reference_streams) {
    const auto lines = read_json_lines(kShared + "parse.jsonl");
    if (lines.empty()) GTEST_SKIP() << "no reference data";
    for (const Json& line : lines) {
        SCOPED_TRACE(name_of(line));
        ResponseParser parser(start_of(line));
        for (const Json& step : member(line, "stream").items) {
            const Json& feed = member(step, "feed");
            const ResponseDelta delta =
                feed.is_null() ? parser.finish(cause_of(line)) : parser.feed(feed.text);
            EXPECT_EQ(delta.reasoning, member(step, "reasoning").text) << feed.text;
            EXPECT_EQ(delta.content, member(step, "content").text) << feed.text;
            expect_same_calls(delta.tool_calls, member(step, "tool_calls"));
        }
        expect_response(parser.response(), line);
    }
}

// With token ids, the specials by number: the same results as from text.
TEST(ChatVectors, parses_the_reference_streams_as_tokens) {
    const auto lines = read_json_lines(kShared + "parse.jsonl");
    if (lines.empty()) GTEST_SKIP() << "no reference data";
    for (const Json& line : lines) {
        SCOPED_TRACE(name_of(line));
        ResponseParser parser(start_of(line));
        for (const Json& step : member(line, "stream").items) {
            const std::string& text = member(step, "feed").text;
            int32_t id = 1000;
            for (const int32_t special : {1, 48, 49, 50, 52, 100, 101, 105, 106}) {
                if (tag_text(tag_of_id(special)) == text) id = special;
            }
            parser.feed_token(id, text);
        }
        parser.finish(cause_of(line));
        expect_response(parser.response(), line);
    }
}

std::vector<Medium> media_of(const Json& line) {
    std::vector<Medium> media;
    for (const Json& entry : member(line, "media").items) {
        Medium medium;
        const std::string& type = member(entry, "type").text;
        medium.n_soft_tokens = static_cast<size_t>(member(entry, "soft_tokens").number);
        if (type == "audio") medium.kind = MediaKind::audio;
        if (type == "video") {
            medium.kind = MediaKind::video;
            medium.n_soft_tokens =
                static_cast<size_t>(member(entry, "soft_tokens_per_frame").number);
            for (const Json& time : member(entry, "seconds").items) {
                medium.frame_seconds.push_back(time.number);
            }
        }
        media.push_back(medium);
    }
    return media;
}

TEST(ChatVectors, expands_the_reference_media) {
    const auto lines = read_json_lines(kShared + "media.jsonl");
    if (lines.empty()) GTEST_SKIP() << "no reference data";
    for (const Json& line : lines) {
        SCOPED_TRACE(name_of(line));
        TemplateKind kind = TemplateKind::e2b;
        ASSERT_TRUE(template_kind_named(member(line, "template").text, kind));
        RenderOptions options;
        options.add_generation_prompt = true;
        const auto prompt = render_prompt(kind, member(line, "messages"), Json(), options);
        ASSERT_TRUE(prompt.has_value());
        EXPECT_EQ(join_prompt(*prompt), member(line, "prompt").text);
        const std::vector<Medium> media = media_of(line);
        const auto expanded = expand_media(*prompt, media);
        ASSERT_TRUE(expanded.has_value()) << expanded.error().message();
        EXPECT_EQ(join_prompt(*expanded), member(line, "expanded").text);

        std::vector<int32_t> ids;
        for (const Json& id : member(line, "ids").items) {
            ids.push_back(static_cast<int32_t>(id.number));
        }
        const auto runs = find_media_runs(ids, media);
        ASSERT_TRUE(runs.has_value()) << runs.error().message();
        size_t n_runs = 0;
        for (const Medium& medium : media) {
            n_runs += medium.kind == MediaKind::video ? medium.frame_seconds.size() : 1;
        }
        EXPECT_EQ(runs->size(), n_runs);
    }
}

TEST(ChatVectors, knows_the_published_templates) {
    for (const bool large : {false, true}) {
        std::ifstream file(kShared + (large ? "gemma4-31b.jinja" : "gemma4-e2b.jinja"));
        if (!file) GTEST_SKIP() << "no reference data";
        const std::string text((std::istreambuf_iterator<char>(file)),
                               std::istreambuf_iterator<char>());
        const TemplateChoice choice = template_kind_for(ModelSize::other, text);
        EXPECT_EQ(choice.kind, large ? TemplateKind::b31 : TemplateKind::e2b);
        EXPECT_EQ(choice.match, large ? TemplateMatch::b31 : TemplateMatch::e2b);
    }
}

}  // namespace
}  // namespace gemlet::chat

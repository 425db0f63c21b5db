// gemlet parse: what a model wrote, as text, to thoughts, content and calls. Needs nothing of the
// model but that it is there: tags in text are known by their spelling.
#include <cmath>
#include <vector>

#include "core/json.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/streams.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/response_json.h"
#include "frontends/text/text_files.h"

namespace gemlet {
namespace {

std::string parsed(chat::ResponseParser& parser, chat::StopCause cause) {
    parser.finish(cause);
    return write_json(response_json(parser.response()));
}

/// Returns the end of the next `n` code points from `at`. The text is UTF-8.
size_t skip_code_points(std::string_view text, size_t at, double n) {
    const auto follows = [&](size_t i) {
        return (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U;
    };
    for (; n > 0 && at < text.size(); --n) {
        ++at;
        while (at < text.size() && follows(at)) ++at;
    }
    return at;
}

/// Feeds `raw` cut as `split` says; what its lengths leave over is one more chunk.
Status feed_split(chat::ResponseParser& parser, std::string_view raw, const Json& split) {
    size_t at = 0;
    for (const Json& length : split.items) {
        if (!length.is_number() || !length.is_integer || length.number < 0) {
            return {StatusCode::bad_argument, "split is not a list of lengths"};
        }
        const size_t end = skip_code_points(raw, at, length.number);
        parser.feed(raw.substr(at, end - at));
        at = end;
    }
    parser.feed(raw.substr(at));
    return {};
}

/// Sets `flag` where the member is `on`, clears it where it is `off` or absent.
Status read_choice(const Json& request, const char* key, std::string_view off, std::string_view on,
                   bool& flag) {
    const Json* value = request.find(key);
    flag = value != nullptr && value->is_string() && value->text == on;
    if (flag || value == nullptr || value->is_null()) return {};
    if (value->is_string() && value->text == off) return {};
    return {StatusCode::bad_argument, "has an unknown value", key};
}

Result<std::string> parse_request(std::string_view line) {
    const Result<Json> request = parse_json(line, DuplicateKeys::last_wins);
    if (!request || !request->is_object()) {
        return Status(StatusCode::bad_argument, "not a JSON object");
    }
    const Json* raw = request->find("raw");
    if (raw == nullptr || !raw->is_string()) {
        return Status(StatusCode::bad_argument, "is missing or no string", "raw");
    }
    bool in_thought = false;
    bool cut = false;
    GEMLET_TRY(read_choice(*request, "start", "content", "reasoning", in_thought));
    GEMLET_TRY(read_choice(*request, "finish", "stop", "length", cut));
    chat::ResponseParser parser(in_thought ? chat::ParseStart::reasoning
                                           : chat::ParseStart::content);
    const Json* split = request->find("split");
    if (split != nullptr && !split->is_null()) {
        if (!split->is_array()) return Status(StatusCode::bad_argument, "is no list", "split");
        GEMLET_TRY(feed_split(parser, raw->text, *split));
    } else {
        parser.feed(raw->text);
    }
    return parsed(parser, cut ? chat::StopCause::length : chat::StopCause::stop);
}

}  // namespace

Failure parse_command(const Options& options) {
    const Result<TextFiles> files = TextFiles::open(options.model);
    if (!files) return {files.error(), options.model};
    if (options.jsonl) {
        return answer_lines([](std::string_view line) {
            const Result<std::string> answer = parse_request(line);
            return answer ? *answer : error_line(answer.error().message());
        });
    }
    const Result<std::string> raw = read_input();
    if (!raw) return raw.error();
    chat::ResponseParser parser;
    parser.feed(*raw);
    Output out;
    out.write_line(parsed(parser, chat::StopCause::stop));
    return out.finish();
}

}  // namespace gemlet

// Whatever a model writes: the response parser must not crash, must give the same result however
// the text is cut, and every call it reports must hold valid JSON.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/json.h"
#include "frontends/text/chat/parser.h"

namespace {

using gemlet::chat::ParsedResponse;
using gemlet::chat::ParseStart;
using gemlet::chat::ResponseParser;
using gemlet::chat::StopCause;

ParsedResponse parse(std::string_view text, size_t step, ParseStart start, StopCause cause) {
    ResponseParser parser(start);
    while (!text.empty()) {
        const size_t n_bytes = std::min(step, text.size());
        parser.feed(text.substr(0, n_bytes));
        text.remove_prefix(n_bytes);
    }
    parser.finish(cause);
    return parser.response();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ParseStart start = (data[0] & 1U) == 0 ? ParseStart::content : ParseStart::reasoning;
    const StopCause cause = (data[0] & 2U) == 0 ? StopCause::stop : StopCause::length;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const ParsedResponse whole = parse(text, size, start, cause);
    const ParsedResponse cut = parse(text, 1 + (data[0] >> 2U) % 7, start, cause);
    if (whole.content != cut.content || whole.reasoning != cut.reasoning ||
        whole.tool_calls != cut.tool_calls) {
        std::abort();
    }
    for (const auto& call : whole.tool_calls) {
        if (!gemlet::parse_json(call.arguments)) std::abort();
    }
    return 0;
}

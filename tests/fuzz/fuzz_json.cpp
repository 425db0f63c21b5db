// JSON: what is accepted must come back the same from its own spelling, in UTF-8 and in ASCII.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.h"

namespace {

void check_again(const std::string& text, const std::string& expected) {
    const auto again = gemlet::parse_json(text);
    if (!again || gemlet::write_json(*again) != expected) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto strict = gemlet::parse_json(text);
    const auto value = gemlet::parse_json(text, gemlet::DuplicateKeys::last_wins);
    if (strict && !value) __builtin_trap();
    if (value) {
        const std::string written = gemlet::write_json(*value);
        check_again(written, written);
        check_again(gemlet::write_json(*value, true), written);
    }
    // Any bytes at all make a valid document when they are written as a text.
    const auto quoted = gemlet::parse_json(gemlet::write_json(gemlet::Json::of(text)));
    if (!quoted || !quoted->is_string()) __builtin_trap();
    return 0;
}

// Fields of a form are all text; each knows how to read its own.
#include "frontends/server/api/speech_request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "frontends/transcribe/languages.h"

namespace gemlet::server {
namespace {

constexpr std::array<std::string_view, 5> kFormats = {"json", "text", "srt", "vtt", "verbose_json"};

ApiError read_file(const FormField& field, const Limits& limits, SpeechRequest& out) {
    if (field.content.empty()) return bad_request("file is empty", "file");
    if (field.content.size() > limits.recording_bytes) {
        return too_large("file is larger than allowed");
    }
    out.file = {reinterpret_cast<const uint8_t*>(field.content.data()), field.content.size()};
    return {};
}

ApiError read_language(const FormField& field, std::string& language) {
    if (field.content.empty()) return {};
    Result<std::string> known = language_name(field.content);
    if (!known) return bad_request(field.name + " is not known", field.name);
    language = std::move(*known);
    return {};
}

ApiError read_format(const FormField& field, SpeechFormat& format) {
    const auto* const known = std::find(kFormats.begin(), kFormats.end(), field.content);
    if (known == kFormats.end()) {
        return bad_request("response_format must be json, text, srt, vtt or verbose_json",
                           "response_format");
    }
    format = static_cast<SpeechFormat>(known - kFormats.begin());
    return {};
}

std::optional<double> number_of(const std::string& text) {
    double value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}

ApiError read_number(const FormField& field, double low, double high, double& out) {
    const std::optional<double> value = number_of(field.content);
    if (!value || !(*value >= low && *value <= high)) {
        return bad_request(field.name + " is no number in its range", field.name);
    }
    out = *value;
    return {};
}

ApiError read_switch(const FormField& field, bool& out) {
    const std::string& text = field.content;
    out = text == "true" || text == "1";
    if (out || text == "false" || text == "0") return {};
    return bad_request(field.name + " must be true or false", field.name);
}

size_t n_characters(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not the rest of a character
    }));
}

ApiError read_field(const FormField& field, const Limits& limits, SpeechRequest& out) {
    const std::string& name = field.name;
    if (name == "file") return read_file(field, limits, out);
    if (name == "model") out.model = field.content;
    if (name == "language") return read_language(field, out.task.language);
    if (name == "to_language" && !out.task.target.empty()) {
        return read_language(field, out.task.target);
    }
    if (name == "response_format") return read_format(field, out.format);
    if (name == "prompt") {
        if (n_characters(field.content) > limits.hint_characters) {
            return bad_request(
                "prompt is longer than " + std::to_string(limits.hint_characters) + " characters",
                "prompt");
        }
        out.task.hints = field.content;
    }
    if (name == "temperature") {
        double value = 0;
        if (ApiError error = read_number(field, 0, 1, value); !error.ok()) return error;
        out.temperature = static_cast<float>(value);
    }
    if (name == "max_segment_seconds") {
        double& seconds = out.segments.max_seconds;
        ApiError error =
            read_number(field, kShortestPieceLimitSeconds, kLongestPieceSeconds, seconds);
        out.segments.overlap_seconds = std::min(1.0, seconds / 4);
        return error;
    }
    if (name == "timestamp_granularities[]" && field.content != "segment") {
        return bad_request("times of words are not available", "timestamp_granularities");
    }
    if (name == "stream") return read_switch(field, out.stream);
    if (name == "vad") return read_switch(field, out.segments.find_pauses);
    return {};
}

}  // namespace

ApiError read_speech_request(std::span<const FormField> form, bool translate, const Limits& limits,
                             SpeechRequest& out) {
    if (translate) out.task.target = "English";
    for (const FormField& field : form) {
        if (ApiError error = read_field(field, limits, out); !error.ok()) return error;
    }
    if (out.file.empty()) return bad_request("file is missing", "file");
    return {};
}

}  // namespace gemlet::server

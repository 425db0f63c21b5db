// Players are strict about small things: srt wants a comma and CRLF or LF, vtt a point and escapes,
// neither a blank line inside a text. So texts are made one line before they are written.
#include "frontends/transcribe/writers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "frontends/transcribe/words.h"

namespace gemlet {
namespace {

constexpr std::array<const char*, 4> kFormats = {"txt", "json", "srt", "vtt"};

/// Control characters and line ends become blanks.
std::string plain_line(std::string_view text) {
    std::string line;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool blank = byte < 0x20 || byte == 0x7F || c == ' ';
        if (blank && (line.empty() || line.back() == ' ')) continue;
        line += blank ? ' ' : c;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    for (size_t at = text.find(what); at != std::string::npos;
         at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
    return text;
}

const std::string& shown_text(const Transcript& transcript, const TranscriptSegment& segment) {
    return transcript.translated() ? segment.translation : segment.text;
}

std::string subtitles(const Transcript& transcript, bool vtt) {
    std::string out = vtt ? "WEBVTT\n\n" : "";
    size_t number = 0;
    for (const TranscriptSegment& segment : transcript.segments) {
        std::string text = plain_line(shown_text(transcript, segment));
        if (text.empty()) continue;
        if (vtt) {
            text = replaced(replaced(replaced(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;");
        } else {
            out += std::to_string(++number) + "\n";
            text = replaced(text, "-->", "->");
        }
        const char mark = vtt ? '.' : ',';
        out += clock_time(segment.start, mark) + " --> " + clock_time(segment.end, mark) + "\n" +
               text + "\n\n";
    }
    return out;
}

/// As many digits as mean something.
Json rounded(double value, double steps) {
    return Json::of_number(std::round(value * steps) / steps);
}

Json seconds(double value) { return rounded(value, 1000); }

Json segment_json(const Transcript& transcript, const TranscriptSegment& segment, size_t id) {
    Json tokens = Json::array();
    for (const int32_t token : segment.tokens) tokens.items.push_back(Json::of_integer(token));
    Json json = Json::object();
    json.set("id", Json::of_integer(static_cast<int64_t>(id)))
        .set("seek", Json::of_integer(std::lround(segment.seek * 100)))
        .set("start", seconds(segment.start))
        .set("end", seconds(segment.end))
        .set("text", Json::of(shown_text(transcript, segment)));
    if (transcript.translated()) json.set("source_text", Json::of(segment.text));
    json.set("tokens", std::move(tokens))
        .set("temperature", rounded(static_cast<double>(segment.temperature), 1e3))
        .set("avg_logprob", rounded(static_cast<double>(segment.avg_logprob), 1e5))
        .set("compression_ratio", rounded(static_cast<double>(segment.compression_ratio), 1e5))
        .set("no_speech_prob", rounded(static_cast<double>(segment.no_speech_prob), 1e5));
    if (segment.estimated) json.set("estimated", Json::of_bool(true));
    return json;
}

Status write_all(int file, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = write(file, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return {StatusCode::io, "cannot be written", {}, errno};
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

}  // namespace

std::optional<TranscriptFormat> transcript_format(std::string_view name) {
    for (size_t i = 0; i < kFormats.size(); ++i) {
        if (name == kFormats[i]) return static_cast<TranscriptFormat>(i);
    }
    return std::nullopt;
}

const char* extension_of(TranscriptFormat format) { return kFormats[static_cast<size_t>(format)]; }

std::string clock_time(double seconds, char mark) {
    // Beyond 99 hours the field grows; what is no time at all counts as the beginning.
    constexpr double kMost = 1e7;
    const bool valid = seconds > 0 && seconds < kMost;
    const int64_t ms = valid ? std::llround(seconds * 1000) : 0;
    std::array<char, 40> text = {};
    std::snprintf(text.data(), text.size(), "%02d:%02d:%02d%c%03d", static_cast<int>(ms / 3600000),
                  static_cast<int>(ms / 60000 % 60), static_cast<int>(ms / 1000 % 60), mark,
                  static_cast<int>(ms % 1000));
    return text.data();
}

std::string transcript_text(const Transcript& transcript) {
    std::string text;
    for (const TranscriptSegment& segment : transcript.segments) {
        append_text(text, plain_line(shown_text(transcript, segment)));
    }
    return text;
}

Json transcript_json(const Transcript& transcript) {
    Json segments = Json::array();
    std::string source;
    for (const TranscriptSegment& segment : transcript.segments) {
        segments.items.push_back(segment_json(transcript, segment, segments.items.size()));
        append_text(source, plain_line(segment.text));
    }
    std::string language = transcript.language;
    for (char& c : language) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    Json json = Json::object();
    json.set("task", Json::of(transcript.translated() ? "translate" : "transcribe"))
        .set("language", language.empty() ? Json() : Json::of(language))
        .set("duration", seconds(transcript.duration))
        .set("text", Json::of(transcript_text(transcript)));
    if (transcript.translated()) json.set("source_text", Json::of(source));
    json.set("segments", std::move(segments));
    return json;
}

std::string write_transcript(const Transcript& transcript, TranscriptFormat format) {
    switch (format) {
        case TranscriptFormat::txt: {
            const std::string text = transcript_text(transcript);
            return text.empty() ? text : text + "\n";
        }
        case TranscriptFormat::json:
            return write_json(transcript_json(transcript)) + "\n";
        case TranscriptFormat::srt:
            return subtitles(transcript, false);
        case TranscriptFormat::vtt:
            break;
    }
    return subtitles(transcript, true);
}

Status replace_file(const std::string& path, std::string_view bytes) {
    std::string beside = path + ".XXXXXX";
    const int file = mkostemp(beside.data(), O_CLOEXEC);
    if (file < 0) return {StatusCode::io, "cannot be created", path, errno};
    // What the umask would have given.
    const mode_t mask = umask(0);
    umask(mask);
    Status status = write_all(file, bytes);
    if (status.ok() && (fchmod(file, 0666U & ~mask) != 0 || fsync(file) != 0)) {
        status = Status(StatusCode::io, "cannot be written", {}, errno);
    }
    if (close(file) != 0 && status.ok()) {
        status = Status(StatusCode::io, "cannot be written", {}, errno);
    }
    if (status.ok() && std::rename(beside.c_str(), path.c_str()) != 0) {
        status = Status(StatusCode::io, "cannot be replaced", {}, errno);
    }
    if (status.ok()) return status;
    unlink(beside.c_str());
    return {StatusCode::io, status.text(), path, status.number()};
}

}  // namespace gemlet

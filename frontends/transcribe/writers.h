// Transcripts as files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "frontends/transcribe/transcript.h"

namespace gemlet {

enum class TranscriptFormat : uint8_t { txt, json, srt, vtt };

/// Returns the format named "txt", "json", "srt" or "vtt"; nothing for another name.
std::optional<TranscriptFormat> transcript_format(std::string_view name);
const char* extension_of(TranscriptFormat format);

/// All of it as one text: the translation where there is one.
std::string transcript_text(const Transcript& transcript);

/// The object of server.md section 4 (`verbose_json`). A segment has `source_text` besides when
/// translated, and `"estimated": true` where its times were shared out.
Json transcript_json(const Transcript& transcript);

/// Returns the transcript as the bytes of a file. Empty segments are left out of subtitles.
std::string write_transcript(const Transcript& transcript, TranscriptFormat format);

/// "01:02:03,456" with the mark that the format wants before the milliseconds.
std::string clock_time(double seconds, char mark);

/// Puts a file in its place at once: written beside it under another name, flushed to the disk,
/// renamed. Errors: `io`.
Status replace_file(const std::string& path, std::string_view bytes);

}  // namespace gemlet

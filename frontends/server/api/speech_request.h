// The form of a transcription or a translation, checked. Source: server.md section 4.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "frontends/server/api/api_error.h"
#include "frontends/server/api/limits.h"
#include "frontends/server/http/http_server.h"
#include "frontends/transcribe/segmenter.h"
#include "frontends/transcribe/speech_prompt.h"

namespace gemlet::server {

enum class SpeechFormat : uint8_t { json, text, srt, vtt, verbose_json };

struct SpeechRequest {
    std::span<const uint8_t> file;  // of the form
    std::string model;
    SpeechTask task;
    SegmenterOptions segments;
    SpeechFormat format = SpeechFormat::json;
    float temperature = 0;
    bool stream = false;
};

/// `translate`: into `to_language`, by default English. The form must outlive `out`.
ApiError read_speech_request(std::span<const FormField> form, bool translate, const Limits& limits,
                             SpeechRequest& out);

}  // namespace gemlet::server

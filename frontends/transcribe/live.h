// Speech as it is spoken: drafts of the sentence in the making, and final texts at its end.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <utility>

#include "core/status.h"
#include "frontends/audio/sound_reader.h"
#include "frontends/transcribe/piece_decoder.h"
#include "frontends/transcribe/segmenter.h"
#include "frontends/transcribe/speech_prompt.h"
#include "frontends/transcribe/transcript.h"

namespace gemlet {

struct LiveRequest {
    SpeechTask task;
    SegmenterOptions segments;
    double draft_seconds = 0.5;  // new sound between drafts
    const std::atomic<bool>* cancel = nullptr;
    /// Whether sound waits to be read; then drafts are left out until it is taken.
    std::function<bool()> behind = {};
    /// Takes a text; a draft stands until the next call. Returns false to end.
    std::function<bool(const TranscriptSegment& segment, bool draft)> on_text;
};

/// Transcribes until the sound ends, `cancel` is set or on_text says so; then what is open becomes
/// final. Memory does not grow. Errors: those of the reader and the decoder; an end by `cancel` is
/// none.
Status transcribe_live(audio::SoundReader& sound, PieceDecoder& decoder,
                       const LiveRequest& request);

}  // namespace gemlet

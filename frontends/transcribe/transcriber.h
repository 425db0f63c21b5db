// A recording to a transcript: reader, segmenter, decoder and joiner in one stream.
#pragma once

#include <atomic>
#include <functional>

#include "core/status.h"
#include "frontends/audio/sound_reader.h"
#include "frontends/transcribe/journal.h"
#include "frontends/transcribe/piece_decoder.h"
#include "frontends/transcribe/segmenter.h"
#include "frontends/transcribe/speech_prompt.h"
#include "frontends/transcribe/transcript.h"

namespace gemlet {

struct TranscribeRequest {
    SpeechTask task;
    SegmenterOptions segments;
    bool retry = true;
    float temperature = 0;
    Journal* journal = nullptr;  // finished pieces are taken from it and added to it
    const std::atomic<bool>* cancel = nullptr;
    /// Seconds of the recording that are finished.
    std::function<void(double seconds)> on_progress = {};
    /// The segments that have become final, in order.
    std::function<void(const TranscriptSegment& segment)> on_segment = {};
};

/// Transcribes a recording of any length; holds a few pieces of it at a time.
/// Errors: those of the reader, the decoder and the journal; `cancelled`.
Result<Transcript> transcribe(audio::SoundReader& sound, PieceDecoder& decoder,
                              const TranscribeRequest& request);

/// Everything that changes the texts of pieces, as one line, for a journal's key.
std::string settings_line(const TranscribeRequest& request, const std::string& model);

}  // namespace gemlet

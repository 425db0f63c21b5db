// What the model made of a piece, before texts are joined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "frontends/transcribe/segmenter.h"
#include "frontends/transcribe/transcript.h"

namespace gemlet {

/// The text of a piece, or of a part of one that was split.
struct PieceText {
    SampleRange range;  // in the recording, as in Piece
    SampleRange speech;
    std::vector<SampleRange> voiced;
    bool forced_begin = false;
    bool forced_end = false;
    std::string text;
    std::string translation;
    std::vector<int32_t> tokens;
    float temperature = 0;
    float avg_logprob = 0;
    float compression_ratio = 0;
    float no_speech_prob = 0;
};

/// Everything about a piece; parts are in order.
struct PieceResult {
    size_t index = 0;
    SampleRange range;
    std::vector<PieceText> parts;
};

/// Puts pieces together to a transcript, in order.
class Joiner {
  public:
    explicit Joiner(Transcript& transcript) : transcript_(&transcript) {}

    /// Takes the next text. One that ends at a forced cut waits for its successor.
    void take(PieceText text);
    /// Finishes the one that waits, if any.
    void finish();

  private:
    void add_segments(const PieceText& piece);

    Transcript* transcript_;
    bool waiting_ = false;
    PieceText last_;
};

}  // namespace gemlet

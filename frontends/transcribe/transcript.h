// What a recording said, as the writers and other doors take it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gemlet {

/// A sentence, or a piece of the recording that holds no more than one.
struct TranscriptSegment {
    double start = 0;  // seconds in the recording
    double end = 0;
    bool estimated = false;   // the times were shared out by length of text
    double seek = 0;          // where the piece it comes from begins, in seconds
    std::string text;         // transcription
    std::string translation;  // where one was asked for
    std::vector<int32_t> tokens;
    float temperature = 0;
    float avg_logprob = 0;
    float compression_ratio = 0;
    float no_speech_prob = 0;
};

struct Transcript {
    std::string language;         // English name as asked for; empty: not known
    std::string target_language;  // of the translation; empty: none
    double duration = 0;          // seconds
    std::vector<TranscriptSegment> segments;

    bool translated() const { return !target_language.empty(); }
};

}  // namespace gemlet

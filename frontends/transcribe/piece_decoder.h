// Pieces of a recording to texts, several at a time: one pass over the weights serves all of them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/batch.h"
#include "core/status.h"
#include "frontends/text/chat_model.h"
#include "frontends/transcribe/piece_encoder.h"
#include "frontends/transcribe/piece_text.h"
#include "frontends/transcribe/segmenter.h"

namespace gemlet {

struct DecoderOptions {
    size_t parallel = 1;  // pieces at a time; the engine was opened with at least as many
    uint64_t seed = 1;    // of the retries, which are not greedy
    SoundOptions encoder;
};

/// Gives the next piece, or nothing at the end of the recording.
using PieceSource = std::function<Result<std::optional<Piece>>()>;
/// Takes a finished piece; pieces may finish out of order.
using PieceSink = std::function<Status(PieceResult)>;

/// A stream of pieces to decode. What it points to must outlive the call.
struct DecodeRequest {
    SpeechTask task;
    PieceSource source;
    PieceSink sink;
    bool retry = true;      // try again where an answer looks wrong
    float temperature = 0;  // of first attempts; later ones have at least this
    const std::atomic<bool>* cancel = nullptr;
};

/// What the decoder did, for reports.
struct DecoderCounts {
    size_t pieces = 0;
    size_t retries = 0;        // answers drawn again
    size_t splits = 0;         // pieces cut in two
    size_t tokens = 0;         // drawn in all
    size_t prompt_tokens = 0;  // of the pieces, each once however often it is tried
    size_t audio_tokens = 0;   // of these, those of the sound
};

/// Positions of the context that a piece of so many seconds can need.
size_t decoder_context(double max_seconds, const SpeechTask& task);

/// One thread at a time; the model must outlive it.
class PieceDecoder {
  public:
    /// Errors: those of PieceEncoder::open and Batch::create; `fault_file` receives the path of the
    /// file an error is about.
    static Result<std::unique_ptr<PieceDecoder>> create(const ChatModel& model,
                                                        const DecoderOptions& options,
                                                        std::string& fault_file);
    ~PieceDecoder();
    PieceDecoder(const PieceDecoder&) = delete;
    PieceDecoder& operator=(const PieceDecoder&) = delete;

    /// Decodes all pieces of a source. A slot that becomes free takes the next piece at once.
    /// Errors: those of source, sink, encoder and batch; `cancelled` when `cancel` is set: then
    /// the pieces that were running are lost.
    Status run(const DecodeRequest& request);

    const DecoderCounts& counts() const;

  private:
    struct Parts;
    explicit PieceDecoder(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace gemlet

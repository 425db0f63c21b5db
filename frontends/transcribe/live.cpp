// A draft is the open piece decoded as if it ended here: the sound is in memory anyway, and pieces
// are short since they end at pauses. A pause makes it final, with retries.
#include "frontends/transcribe/live.h"

namespace gemlet {
namespace {

constexpr size_t kReadSamples = 4000;  // a quarter of a second

class Live {
  public:
    Live(audio::SoundReader& sound, PieceDecoder& decoder, const LiveRequest& request)
        : sound_(sound),
          decoder_(decoder),
          request_(request),
          segmenter_(request.segments),
          joiner_(done_) {
        done_.language = request.task.language;
        done_.target_language = request.task.target;
    }

    Status run() {
        std::vector<float> block(kReadSamples);
        std::vector<Piece> pieces;
        while (!ended_) {
            const Result<size_t> n = sound_.read(block);
            const bool stopped =
                request_.cancel != nullptr && request_.cancel->load(std::memory_order_relaxed);
            if (!n && n.error().code() == StatusCode::cancelled && !stopped) continue;
            if (!n && n.error().code() != StatusCode::cancelled) return n.error();
            if (!n || *n == 0 || stopped) break;
            segmenter_.push(std::span(block).first(*n), pieces);
            GEMLET_TRY(finish_pieces(pieces));
            GEMLET_TRY(draft());
        }
        segmenter_.finish(pieces);
        GEMLET_TRY(finish_pieces(pieces));
        joiner_.finish();
        show(done_, false);
        return {};
    }

  private:
    Status finish_pieces(std::vector<Piece>& pieces) {
        for (Piece& piece : pieces) {
            if (ended_) break;
            GEMLET_TRY(decode(std::move(piece), true, joiner_));
            show(done_, false);
            drafted_ = segmenter_.position();
        }
        pieces.clear();
        return {};
    }

    Status draft() {
        const auto interval = static_cast<size_t>(request_.draft_seconds * kSpeechRateHz);
        if (ended_ || !segmenter_.open() || segmenter_.position() < drafted_ + interval) return {};
        if (request_.behind && request_.behind()) return {};
        drafted_ = segmenter_.position();
        Transcript transcript;
        transcript.target_language = request_.task.target;
        Joiner joiner(transcript);
        GEMLET_TRY(decode(segmenter_.draft(), false, joiner));
        joiner.finish();
        show(transcript, true);
        return {};
    }

    Status decode(Piece piece, bool retry, Joiner& joiner) {
        std::optional<Piece> next = std::move(piece);
        DecodeRequest decoding;
        decoding.task = request_.task;
        decoding.retry = retry;
        decoding.source = [&]() -> Result<std::optional<Piece>> {
            return std::exchange(next, std::nullopt);
        };
        decoding.sink = [&](PieceResult result) -> Status {
            for (PieceText& part : result.parts) joiner.take(std::move(part));
            return {};
        };
        return decoder_.run(decoding);
    }

    /// Shows the segments and forgets them.
    void show(Transcript& transcript, bool draft) {
        for (const TranscriptSegment& segment : transcript.segments) {
            if (!ended_) ended_ = !request_.on_text(segment, draft);
        }
        transcript.segments.clear();
    }

    audio::SoundReader& sound_;
    PieceDecoder& decoder_;
    const LiveRequest& request_;
    Segmenter segmenter_;
    size_t drafted_ = 0;  // position at the last draft
    bool ended_ = false;
    Transcript done_;
    Joiner joiner_;
};

}  // namespace

Status transcribe_live(audio::SoundReader& sound, PieceDecoder& decoder,
                       const LiveRequest& request) {
    GEMLET_TRY(check_segmenter_options(request.segments));
    return Live(sound, decoder, request).run();
}

}  // namespace gemlet

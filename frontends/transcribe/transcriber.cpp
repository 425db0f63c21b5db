// Pieces leave the decoder in any order and the journal first; a small map puts them back in order.
#include "frontends/transcribe/transcriber.h"

#include <array>
#include <cstdio>
#include <deque>
#include <map>

namespace gemlet {
namespace {

constexpr size_t kReadSamples = 8000;  // half a second

class Flow {
  public:
    Flow(audio::SoundReader& sound, const TranscribeRequest& request)
        : sound_(sound),
          request_(request),
          segmenter_(request.segments),
          block_(kReadSamples),
          joiner_(transcript_) {
        transcript_.language = request.task.language;
        transcript_.target_language = request.task.target;
    }

    /// The next piece that is not known yet. Known ones are taken on the way.
    Result<std::optional<Piece>> next_piece() {
        while (true) {
            GEMLET_TRY(fill());
            if (pieces_.empty()) return std::optional<Piece>();
            Piece piece = std::move(pieces_.front());
            pieces_.pop_front();
            const PieceResult* known =
                request_.journal == nullptr ? nullptr : request_.journal->find(piece);
            if (known == nullptr) return std::optional<Piece>(std::move(piece));
            put(*known);
        }
    }

    Status take(PieceResult result) {
        if (request_.journal != nullptr) GEMLET_TRY(request_.journal->add(result));
        put(std::move(result));
        return {};
    }

    Transcript finish() {
        joiner_.finish();
        show_new();
        transcript_.duration = static_cast<double>(n_samples_) / audio::kSoundRate;
        return std::move(transcript_);
    }

  private:
    /// Reads until a piece is there, or the recording ends.
    Status fill() {
        std::vector<Piece> found;
        while (pieces_.empty() && !ended_) {
            const Result<size_t> n = sound_.read(block_);
            GEMLET_TRY(n);
            n_samples_ += *n;
            ended_ = *n == 0;
            if (ended_) {
                segmenter_.finish(found);
            } else {
                segmenter_.push(std::span(block_).first(*n), found);
            }
            for (Piece& piece : found) pieces_.push_back(std::move(piece));
            found.clear();
        }
        return {};
    }

    void put(PieceResult result) {
        const size_t index = result.index;
        waiting_[index] = std::move(result);
        for (auto next = waiting_.begin(); next != waiting_.end() && next->first == n_joined_;
             next = waiting_.erase(next)) {
            if (request_.on_progress) {
                request_.on_progress(static_cast<double>(next->second.range.end) /
                                     audio::kSoundRate);
            }
            for (PieceText& part : next->second.parts) joiner_.take(std::move(part));
            ++n_joined_;
        }
        show_new();
    }

    void show_new() {
        for (; n_shown_ < transcript_.segments.size(); ++n_shown_) {
            if (request_.on_segment) request_.on_segment(transcript_.segments[n_shown_]);
        }
    }

    audio::SoundReader& sound_;
    const TranscribeRequest& request_;
    Segmenter segmenter_;
    std::vector<float> block_;
    std::deque<Piece> pieces_;
    size_t n_samples_ = 0;
    bool ended_ = false;
    std::map<size_t, PieceResult> waiting_;  // finished before their turn
    size_t n_joined_ = 0;
    size_t n_shown_ = 0;
    Transcript transcript_;
    Joiner joiner_;
};

}  // namespace

Result<Transcript> transcribe(audio::SoundReader& sound, PieceDecoder& decoder,
                              const TranscribeRequest& request) {
    GEMLET_TRY(check_segmenter_options(request.segments));
    Flow flow(sound, request);
    DecodeRequest decoding;
    decoding.task = request.task;
    decoding.source = [&] { return flow.next_piece(); };
    decoding.sink = [&](PieceResult result) { return flow.take(std::move(result)); };
    decoding.retry = request.retry;
    decoding.temperature = request.temperature;
    decoding.cancel = request.cancel;
    GEMLET_TRY(decoder.run(decoding));
    return flow.finish();
}

std::string settings_line(const TranscribeRequest& request, const std::string& model) {
    std::array<char, 128> numbers = {};
    std::snprintf(numbers.data(), numbers.size(), "max=%.3f pause=%.3f overlap=%.3f retry=%d",
                  request.segments.max_seconds, request.segments.pause_seconds,
                  request.segments.overlap_seconds, request.retry ? 1 : 0);
    return "model=" + model + " language=" + request.task.language +
           " target=" + request.task.target + " hints=" + request.task.hints + " " + numbers.data();
}

}  // namespace gemlet

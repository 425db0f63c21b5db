// Media are matched to placeholders by kind and order. See the header.
#include "frontends/text/chat/media.h"

#include <array>
#include <cstdint>
#include <string>

namespace gemlet::chat {
namespace {

constexpr size_t kMaxSoftTokens = 1120;  // the largest budget of a picture
constexpr size_t kMaxAudioTokens = 750;  // 30 s
constexpr size_t kMaxFrames = 4096;
constexpr double kMaxSeconds = 1e9;

// Hands out the media of each kind in order.
class MediaQueue {
  public:
    explicit MediaQueue(std::span<const Medium> media) : media_(media) {}

    // The index of the next medium of that kind; media.size() if there is none.
    size_t take(MediaKind kind) {
        size_t& at = next_[static_cast<size_t>(kind)];
        while (at < media_.size() && media_[at].kind != kind) ++at;
        if (at == media_.size()) return at;
        ++n_taken_;
        return at++;
    }
    bool all_taken() const { return n_taken_ == media_.size(); }

  private:
    std::span<const Medium> media_;
    std::array<size_t, 3> next_ = {};
    size_t n_taken_ = 0;
};

Status bad_media(const char* text, size_t index) {
    return {StatusCode::bad_argument, text, "media", static_cast<int64_t>(index)};
}

Status check_medium(const Medium& medium, size_t index) {
    const size_t most = medium.kind == MediaKind::audio ? kMaxAudioTokens : kMaxSoftTokens;
    if (medium.n_soft_tokens == 0 || medium.n_soft_tokens > most) {
        return bad_media("number of soft tokens out of range", index);
    }
    if (medium.kind != MediaKind::video) return {};
    if (medium.frame_seconds.empty() || medium.frame_seconds.size() > kMaxFrames) {
        return bad_media("number of video frames out of range", index);
    }
    for (const double seconds : medium.frame_seconds) {
        if (!(seconds >= 0 && seconds < kMaxSeconds)) {
            return bad_media("time of frame out of range", index);
        }
    }
    return {};
}

void write_run(PromptWriter& out, std::string_view open, std::string_view soft,
               std::string_view close, size_t count) {
    out.special(open);
    for (size_t i = 0; i < count; ++i) out.special(soft);
    out.special(close);
}

// MM:SS, cut off to whole seconds; minutes of more digits where there are so many.
std::string clock_text(double seconds) {
    constexpr uint64_t kPerMinute = 60;
    const auto whole = static_cast<uint64_t>(seconds);
    const auto two_digits = [](uint64_t number) {
        return (number < 10 ? "0" : "") + std::to_string(number);
    };
    return two_digits(whole / kPerMinute) + ":" + two_digits(whole % kPerMinute);
}

void write_medium(PromptWriter& out, const Medium& medium) {
    if (medium.kind == MediaKind::image) {
        write_run(out, kImageOpen, kImage, kImageClose, medium.n_soft_tokens);
    } else if (medium.kind == MediaKind::audio) {
        write_run(out, kAudioOpen, kAudio, kAudioClose, medium.n_soft_tokens);
    } else {
        for (size_t i = 0; i < medium.frame_seconds.size(); ++i) {
            if (i != 0) out.plain(" ");
            out.plain(clock_text(medium.frame_seconds[i])).plain(" ");
            write_run(out, kImageOpen, kVideo, kImageClose, medium.n_soft_tokens);
        }
    }
}

// Sets `kind` if the text is a placeholder.
bool kind_of_text(std::string_view text, MediaKind& kind) {
    if (text == kImage) kind = MediaKind::image;
    if (text == kAudio) kind = MediaKind::audio;
    if (text == kVideo) kind = MediaKind::video;
    return text == kImage || text == kAudio || text == kVideo;
}

bool kind_of_id(int32_t id, const MediaIds& ids, MediaKind& kind) {
    if (id == ids.image) kind = MediaKind::image;
    if (id == ids.audio) kind = MediaKind::audio;
    if (id == ids.video) kind = MediaKind::video;
    return id == ids.image || id == ids.audio || id == ids.video;
}

constexpr const char* kTooFew = "more places for media than media";
constexpr const char* kTooMany = "more media than places for them";

}  // namespace

Result<Prompt> expand_media(const Prompt& prompt, std::span<const Medium> media) {
    for (size_t i = 0; i < media.size(); ++i) GEMLET_TRY(check_medium(media[i], i));
    MediaQueue queue(media);
    PromptWriter out;
    for (const PromptSegment& segment : prompt) {
        MediaKind kind = MediaKind::image;
        if (!segment.trusted) {
            out.plain(segment.text);
        } else if (kind_of_text(segment.text, kind)) {
            const size_t index = queue.take(kind);
            if (index == media.size()) return bad_media(kTooFew, index);
            write_medium(out, media[index]);
        } else {
            out.special(segment.text);
        }
    }
    if (!queue.all_taken()) return bad_media(kTooMany, media.size());
    return std::move(out).take();
}

Result<std::vector<MediaRun>> find_media_runs(std::span<const int32_t> ids,
                                              std::span<const Medium> media,
                                              const MediaIds& media_ids) {
    std::vector<MediaRun> runs;
    MediaQueue queue(media);
    MediaRun video;  // the frame before; its medium goes on until all frames are seen
    for (size_t i = 0; i < ids.size();) {
        MediaRun run;
        if (!kind_of_id(ids[i], media_ids, run.kind)) {
            ++i;
            continue;
        }
        run.begin = i;
        while (i < ids.size() && ids[i] == ids[run.begin]) ++i;
        run.count = i - run.begin;
        const bool goes_on = run.kind == MediaKind::video && video.count != 0 &&
                             video.frame + 1 < media[video.medium].frame_seconds.size();
        run.medium = goes_on ? video.medium : queue.take(run.kind);
        run.frame = goes_on ? video.frame + 1 : 0;
        if (run.medium == media.size()) return bad_media(kTooFew, run.medium);
        if (run.count != media[run.medium].n_soft_tokens) {
            return bad_media("the prompt holds another number of soft tokens", run.medium);
        }
        if (run.kind == MediaKind::video) video = run;
        runs.push_back(run);
    }
    const bool cut =
        video.count != 0 && video.frame + 1 != media[video.medium].frame_seconds.size();
    if (cut || !queue.all_taken()) return bad_media(kTooMany, media.size());
    return runs;
}

}  // namespace gemlet::chat

// Pictures, sounds and videos inside a prompt: from one placeholder each to as many soft tokens as
// the encoder gives, and where those stand among the token ids.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"
#include "frontends/text/chat/prompt.h"
#include "frontends/text/chat/specials.h"

namespace gemlet::chat {

enum class MediaKind : uint8_t { image, audio, video };

struct Medium {
    MediaKind kind = MediaKind::image;
    size_t n_soft_tokens = 0;                // of the medium; of each frame for a video
    std::vector<double> frame_seconds = {};  // video: the time of each frame
};

/// Replaces the k-th placeholder of a kind by the tokens of the k-th medium of that kind. Only
/// trusted placeholders count.
/// Errors: `bad_argument` if there are more placeholders of a kind than media or the reverse, and
/// for counts out of range (1 to 1120 soft tokens, 750 for sound; 1 to 4096 frames).
Result<Prompt> expand_media(const Prompt& prompt, std::span<const Medium> media);

/// Where the rows of one encoder output go.
struct MediaRun {
    MediaKind kind = MediaKind::image;
    size_t medium = 0;  // index into `media`
    size_t frame = 0;   // video: of the frame
    size_t begin = 0;   // position of the first soft token
    size_t count = 0;

    friend bool operator==(const MediaRun&, const MediaRun&) = default;
};

/// The ids that stand for soft tokens: those of the released vocabulary, or another's.
struct MediaIds {
    int32_t image = kImageId;
    int32_t audio = kAudioId;
    int32_t video = kVideoId;
};

/// Finds the soft tokens in the ids of an expanded prompt, in order of position.
/// Errors: `bad_argument` if they are not the ones that `media` asks for.
Result<std::vector<MediaRun>> find_media_runs(std::span<const int32_t> ids,
                                              std::span<const Medium> media,
                                              const MediaIds& media_ids = {});

}  // namespace gemlet::chat

// Messages of a request, checked, and the media in them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/json.h"
#include "frontends/server/api/api_error.h"
#include "frontends/server/api/limits.h"
#include "frontends/text/chat/media.h"

namespace gemlet::server {

/// A picture of a video.
struct RequestFrame {
    std::vector<uint8_t> bytes;
    double seconds = 0;
};

/// A picture, a sound or a video as the request brought it.
struct RequestMedium {
    chat::MediaKind kind = chat::MediaKind::image;
    std::vector<uint8_t> bytes;
    size_t budget = 0;                 // soft tokens of a picture
    std::vector<RequestFrame> frames;  // of a video, instead of bytes
};

struct ChatMessages {
    Json messages;                     // in the form that render_prompt takes
    std::vector<RequestMedium> media;  // that its parts stand for, in order
};

/// Checks messages and takes the media out of them. Errors name the message's index.
ApiError read_messages(const Json& messages, const Limits& limits, ChatMessages& out);

}  // namespace gemlet::server

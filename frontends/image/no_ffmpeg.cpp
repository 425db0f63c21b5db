// Stands in where FFmpeg's libraries are left out.
#include "frontends/image/video.h"

namespace gemlet::image {

Status read_video_frames(const std::string& /*path*/, const VideoOptions& /*options*/,
                         const VideoFrameSink& /*take*/) {
    return {StatusCode::unsupported, "built without FFmpeg: reads no video files"};
}

}  // namespace gemlet::image

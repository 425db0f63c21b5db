// Stands in where FFmpeg's libraries are left out.
#include "frontends/image/video.h"

namespace gemlet::image {

Result<std::vector<VideoFrame>> read_video_file(const std::string& path,
                                                const VideoOptions& /*options*/) {
    return Status(StatusCode::unsupported,
                  "this build of gemlet reads no video files; give the frames as pictures", path);
}

}  // namespace gemlet::image

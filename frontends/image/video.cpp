// Which frames of a video are looked at.
#include "frontends/image/video.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/guard.h"

namespace gemlet::image {
namespace {

// Where a file does not say how fast it runs.
constexpr double kUsualFrameRate = 24.0;

double known_rate(double frames_per_second) {
    const bool known = std::isfinite(frames_per_second) && frames_per_second > 0;
    return known ? frames_per_second : kUsualFrameRate;
}

}  // namespace

Result<std::vector<size_t>> sample_frames(size_t n_frames, double video_frames_per_second,
                                          const VideoOptions& options) {
    if (!(options.frames_per_second > 0) || !std::isfinite(options.frames_per_second)) {
        return Status(StatusCode::bad_argument, "frames per second must be a positive number");
    }
    if (options.max_frames == 0) {
        return Status(StatusCode::bad_argument, "a video needs at least one frame");
    }
    const double by_rate = static_cast<double>(n_frames) / known_rate(video_frames_per_second) *
                           options.frames_per_second;
    size_t n_wanted = std::min(n_frames, options.max_frames);
    if (by_rate < static_cast<double>(n_wanted)) {
        n_wanted = std::max(static_cast<size_t>(by_rate), std::min<size_t>(n_frames, 1));
    }
    return guard([&]() -> Result<std::vector<size_t>> {
        std::vector<size_t> indices(n_wanted);
        // floor(i * n_frames / n_wanted) without the product, which might not fit.
        for (size_t i = 0; i < n_wanted; ++i) {
            indices[i] = i * (n_frames / n_wanted) + i * (n_frames % n_wanted) / n_wanted;
        }
        return indices;
    });
}

Result<std::vector<VideoFrame>> frames_of_pictures(std::vector<Picture> pictures,
                                                   double pictures_per_second,
                                                   const VideoOptions& options) {
    return guard([&]() -> Result<std::vector<VideoFrame>> {
        for (const Picture& picture : pictures) {
            if (picture.width != pictures[0].width || picture.height != pictures[0].height) {
                return Status(StatusCode::bad_argument,
                              "the frames of a video must all have the same size");
            }
        }
        const auto indices = sample_frames(pictures.size(), pictures_per_second, options);
        GEMLET_TRY(indices);
        std::vector<VideoFrame> frames;
        for (const size_t index : *indices) {
            frames.push_back({std::move(pictures[index]),
                              static_cast<double>(index) / known_rate(pictures_per_second)});
        }
        return frames;
    });
}

Result<std::vector<VideoFrame>> read_video_file(const std::string& path,
                                                const VideoOptions& options) {
    return guard([&]() -> Result<std::vector<VideoFrame>> {
        std::vector<VideoFrame> frames;
        GEMLET_TRY(read_video_frames(path, options, [&](VideoFrame frame) {
            frames.push_back(std::move(frame));
            return Status();
        }));
        return frames;
    });
}

}  // namespace gemlet::image

// A video is a list of pictures with times: at most one a second, and no more than 60.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/status.h"
#include "frontends/image/picture.h"

namespace gemlet::image {

struct VideoOptions {
    double frames_per_second = 1.0;  // taken, not the video's own
    size_t max_frames = 60;
    PictureLimits limits = {};  // of a frame
};

struct VideoFrame {
    Picture picture;
    double seconds = 0;  // from the start of the video
};

/// Returns the indices of the frames that stand for a video of n_frames frames: as many as
/// options.frames_per_second gives, at least one, at most options.max_frames, spread evenly over
/// all of it. Nothing for a video without frames. Errors: `bad_argument` for rates that are not
/// positive and for max_frames 0. Source: vision.md 8.
Result<std::vector<size_t>> sample_frames(size_t n_frames, double video_frames_per_second,
                                          const VideoOptions& options = {});

/// Frames that came as pictures, the first at 0 seconds: those to keep, with their times.
/// Errors: those of sample_frames; `bad_argument` for pictures of different sizes.
Result<std::vector<VideoFrame>> frames_of_pictures(std::vector<Picture> pictures,
                                                   double pictures_per_second,
                                                   const VideoOptions& options = {});

/// Receives a frame; what it returns, unless ok, ends the reading.
using VideoFrameSink = std::function<Status(VideoFrame frame)>;

/// Reads a video or an animation (MP4, Matroska, WebM, AVI, Ogg, GIF ..) through FFmpeg, upright,
/// and hands out the frames that stand for it one by one: a minute of large frames is gigabytes.
/// Opens nothing but this file, and switches FFmpeg's own messages off for the whole process.
/// An MP4 that ends early is an error; streams (WebM ..) may end anywhere and are read that far.
/// FFmpeg is large and reads strangers' bytes: builds that need no video leave it out
/// (GEMLET_FFMPEG). Errors: `unsupported` without FFmpeg, and for what it does not know; `corrupt`;
/// `bad_argument` beyond the limits; `not_found`, `io`; those of `take`.
Status read_video_frames(const std::string& path, const VideoOptions& options,
                         const VideoFrameSink& take);

/// The same, all frames together. For short or small ones.
Result<std::vector<VideoFrame>> read_video_file(const std::string& path,
                                                const VideoOptions& options = {});

}  // namespace gemlet::image

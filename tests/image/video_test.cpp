// Which frames of a video are taken, and that files give just those.
#include "frontends/image/video.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/core/temp_tree.h"
#include "tests/image/image_data.h"

namespace gemlet::image_test {
namespace {

using image::Picture;
using image::sample_frames;
using image::VideoFrame;

TEST(Video, takes_one_frame_a_second_and_at_most_sixty) {
    EXPECT_EQ(*sample_frames(250, 25),
              (std::vector<size_t>{0, 25, 50, 75, 100, 125, 150, 175, 200, 225}));
    EXPECT_EQ(*sample_frames(90, 30), (std::vector<size_t>{0, 30, 60}));
    EXPECT_EQ(*sample_frames(100, 30),
              (std::vector<size_t>{0, 33, 66}));  // 3.33 s: 3 frames, spread
    EXPECT_EQ(*sample_frames(10, 30), (std::vector<size_t>{0}));
    EXPECT_EQ(*sample_frames(1, 30), (std::vector<size_t>{0}));
    EXPECT_TRUE(sample_frames(0, 30)->empty());
    const auto hour = sample_frames(3600 * 25, 25);
    ASSERT_EQ(hour->size(), 60U);
    for (size_t i = 0; i < 60; ++i) EXPECT_EQ((*hour)[i], i * 1500);
    // Fewer frames than one a second: all of them. Without a known rate: 24.
    EXPECT_EQ(sample_frames(5, 0.5)->size(), 5U);
    EXPECT_EQ(sample_frames(48, 0)->size(), 2U);
    EXPECT_EQ(sample_frames(SIZE_MAX, 25)->back(), SIZE_MAX / 60 * 59 + SIZE_MAX % 60 * 59 / 60);
}

TEST(Video, refuses_rates_that_are_none) {
    EXPECT_FALSE(sample_frames(10, 25, {.frames_per_second = 0}));
    EXPECT_FALSE(sample_frames(10, 25, {.frames_per_second = -1}));
    EXPECT_FALSE(sample_frames(10, 25, {.frames_per_second = std::nan("")}));
    EXPECT_FALSE(sample_frames(10, 25, {.max_frames = 0}));
}

TEST(Video, takes_a_list_of_pictures) {
    std::vector<Picture> pictures(6, formula_picture(4, 3));
    for (uint8_t i = 0; i < 6; ++i) pictures[i].pixels[0] = i;
    const auto frames = image::frames_of_pictures(pictures, 2);
    ASSERT_TRUE(frames);
    ASSERT_EQ(frames->size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ((*frames)[i].picture.pixels[0], 2 * i);
        EXPECT_EQ((*frames)[i].seconds, static_cast<double>(i));
    }
    pictures[5] = formula_picture(3, 4);
    EXPECT_EQ(image::frames_of_pictures(pictures, 2).error().code(), StatusCode::bad_argument);
}

#ifdef GEMLET_FFMPEG
// clip.*: 250 frames at 25 a second; the left half's grey counts seconds, the right half's frames.
void expect_frame(const VideoFrame& frame, size_t index, const std::string& name) {
    EXPECT_EQ(frame.picture.width, 64U);
    ASSERT_EQ(frame.picture.height, 48U);
    EXPECT_DOUBLE_EQ(frame.seconds, static_cast<double>(index) / 25);
    const uint8_t* row = frame.picture.pixels.data() + ptrdiff_t{24 * 64 * 3};
    EXPECT_NEAR(row[16 * 3], 30 + 20.0 * static_cast<double>(index / 25), 3)
        << name << " " << index;
    EXPECT_NEAR(row[48 * 3], 30 + 8.0 * static_cast<double>(index % 25), 3) << name << " " << index;
}

TEST(VideoFile, gives_the_frames_that_were_sampled) {
    for (const char* name : {"clip.mp4", "clip.webm"}) {
        const auto frames = image::read_video_file(path_of(name));
        ASSERT_TRUE(frames) << name << ": " << frames.error().message();
        ASSERT_EQ(frames->size(), 10U);
        for (size_t i = 0; i < 10; ++i) expect_frame((*frames)[i], i * 25, name);
        const auto many = image::read_video_file(path_of(name), {.frames_per_second = 25});
        ASSERT_TRUE(many) << name << ": " << many.error().message();
        ASSERT_EQ(many->size(), 60U);
        for (size_t i = 0; i < 60; ++i) expect_frame((*many)[i], i * 250 / 60, name);
    }
}

TEST(VideoFile, keeps_to_the_limits) {
    const image::VideoOptions options = {.limits = {.max_pixels = 64 * 48 - 1}};
    EXPECT_EQ(image::read_video_file(path_of("clip.mp4"), options).error().code(),
              StatusCode::bad_argument);
}

TEST(VideoFile, refuses_what_is_no_video) {
    EXPECT_EQ(image::read_video_file(path_of("absent.mp4")).error().code(), StatusCode::not_found);
    EXPECT_EQ(image::read_video_file(path_of("grids.txt")).error().code(), StatusCode::unsupported);
}

TEST(VideoFile, that_is_damaged_never_crashes) {
    const TempTree folder;
    std::mt19937_64 random(3);
    const auto try_bytes = [&](const Bytes& bytes) {
        folder.write("broken", {bytes.begin(), bytes.end()});
        return image::read_video_file(folder.path("broken")).error();
    };
    for (const char* name : {"clip.mp4", "clip.webm"}) {
        const Bytes whole = read_file(path_of(name));
        for (size_t n = 0; n < whole.size(); n += 512) {
            const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
            const Status status = try_bytes(cut);
            if (std::string(name) == "clip.mp4") {
                EXPECT_FALSE(status.ok()) << n;
            }
        }
        for (size_t i = 0; i < 30; ++i) {
            Bytes bytes = whole;
            for (size_t n = 0; n < 5; ++n) {
                bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
            }
            (void)try_bytes(bytes);
        }
    }
    // A playlist that would open other files.
    const std::string playlist = "#EXTM3U\n#EXTINF:1,\n" + path_of("clip.mp4") + "\n";
    EXPECT_EQ(try_bytes(Bytes(playlist.begin(), playlist.end())).code(), StatusCode::unsupported);
}
#else
TEST(VideoFile, needs_ffmpeg) {
    EXPECT_EQ(image::read_video_file(path_of("clip.mp4")).error().code(), StatusCode::unsupported);
}
#endif

}  // namespace
}  // namespace gemlet::image_test

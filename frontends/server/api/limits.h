// How much a client may ask for, and from where. Beyond these a request is refused, never cut.
#pragma once

#include <cstddef>
#include <string>

namespace gemlet::server {

struct Limits {
    size_t body_bytes = size_t{64} << 20U;
    size_t sound_body_bytes = size_t{101} << 20U;  // of a request with a recording
    size_t recording_bytes = size_t{100} << 20U;
    double recording_seconds = 7200;
    size_t media = 16;        // in one request
    size_t frames = 60;       // of a video
    size_t all_frames = 240;  // of all videos of a request
    double video_seconds = 60;
    bool cut_sounds = false;  // those of more than 30 s, instead of refusing them
    std::string media_path;   // folder whose pictures may be named as file://..; empty: none
    size_t picture_bytes = size_t{20} << 20U;
    size_t json_depth = 64;
    size_t json_values = 500'000;  // of a body: each takes a hundred bytes of memory
    size_t tools = 128;
    size_t schema_bytes = size_t{256} << 10U;  // of all tools and of a response format
    size_t messages = 2048;
    size_t stops = 16;
    size_t hint_characters = 1000;
};

}  // namespace gemlet::server

// The command line as a plain struct: every option of every command, with its default.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gemlet {

/// A file given by --image and the like.
struct MediaOption {
    std::string option;  // "--image"
    std::string path;
};

struct Options {
    std::string command;
    std::string model;

    // Every command that opens a model.
    size_t threads = 0;
    std::string isa;
    uint64_t memory_bytes = 0;
    size_t context = 0;
    std::string kv;  // empty: the command's default
    size_t chunk = 512;
    std::string ple;  // disk or ram
    std::optional<uint64_t> seed;
    bool json = false;

    // run, chat
    std::string prompt;
    bool has_prompt = false;
    std::string system;
    std::string tools_file;
    bool think = false;
    bool show_thoughts = false;
    bool raw = false;
    std::optional<float> temperature;
    std::optional<float> top_p;
    std::optional<size_t> top_k;
    std::optional<float> min_p;
    std::optional<float> repetition_penalty;
    size_t max_tokens = 0;  // 0: until the context is full

    // run, chat, logits, encode, inspect
    std::vector<std::string> images;
    std::vector<std::string> videos;
    std::vector<std::string> audios;
    std::vector<MediaOption> media;  // all of these, in the order they were given
    std::string mmproj;
    size_t budget = 280;
    size_t frame_budget = 70;
    size_t max_megapixels = 40;
    std::string vision_precision;
    std::string audio_precision;
    std::string stage = "soft";

    // transcribe
    std::vector<std::string> sounds;
    std::string language;
    std::string translate_to;
    std::string hints;
    std::string format;  // empty: txt
    std::string output_folder;
    bool resume = false;
    bool live = false;
    double stdin_rate = 0;  // 0: files are read
    size_t parallel = 4;
    double max_segment_seconds = 30;
    double pause_seconds = 0.5;
    bool no_retry = false;

    // serve
    std::string host = "127.0.0.1";
    int port = 8080;
    std::string api_key;
    std::optional<size_t> slots;
    size_t queue = 16;
    size_t speech_slots = 1;
    std::string alias;
    std::string cors;
    bool strict_model = false;
    int timeout_s = 60;
    uint64_t max_body_bytes = 0;  // 0: the server's own limit
    bool metrics_compat = false;
    std::string media_path;
    uint64_t max_recording_bytes = 0;  // 0: the server's own limit
    double max_recording_minutes = 120;
    size_t max_media = 16;
    uint64_t max_picture_bytes = 0;  // 0: the server's own limit
    uint64_t max_schema_bytes = 0;   // 0: the server's own limit
    size_t max_depth = 64;
    size_t max_messages = 2048;
    size_t max_tools = 128;
    bool audio_chunk = false;
    bool log = false;
    bool log_prompts = false;

    // bench
    size_t bench_prompt = 512;
    size_t bench_decode = 128;
    size_t bench_runs = 5;
    size_t bench_depth = 0;
    size_t bench_parallel = 1;

    // tokenize, detokenize, render, parse
    std::string text;
    bool has_text = false;
    bool special = false;
    bool skip_special = false;
    bool jsonl = false;
    std::string template_name;

    // logits, perplexity
    std::string ids;
    std::string out;
    bool all = false;
    std::string precision;
    std::string file;
    size_t window = 512;
    std::vector<std::string> compared;
    std::string compare;  // the second model; empty: one is measured

    // quantize
    std::string scheme;
    std::string method;
    std::vector<std::string> calibration;
    size_t calibration_tokens = 8192;
};

/// What to do after reading the command line.
struct ParsedOptions {
    Options options;
    bool done = false;  // help or version was printed, or the usage was wrong
    int exit_code = 0;
};

/// Reads the command line. Prints help, version or the usage error itself.
ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace gemlet

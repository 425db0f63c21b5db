// CLI11 does the parsing; nothing else in the program knows it.
#include "frontends/cli/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <iostream>

namespace gemlet {
namespace {

constexpr const char* kVersion = "gemlet 0.1.0";

/// "1.5G", "800M", "4096": bytes, with binary units.
std::string parse_size(const std::string& text, uint64_t& bytes) {
    size_t used = 0;
    double number = 0;
    try {
        number = std::stod(text, &used);
    } catch (const std::exception&) {
        return "not a size: " + text;
    }
    std::string unit = CLI::detail::to_lower(text.substr(used));
    if (!unit.empty() && unit.back() == 'b') unit.pop_back();
    if (!unit.empty() && unit.back() == 'i') unit.pop_back();
    const std::string units = "kmgt";
    const size_t power = unit.empty() ? 0 : units.find(unit) + 1;
    number *= static_cast<double>(uint64_t{1} << (10 * power));
    if (unit.size() > 1 || (power == 0 && !unit.empty()) || !(number >= 1) || number > 1e15) {
        return "not a size (write 800M or 1.5G): " + text;
    }
    bytes = static_cast<uint64_t>(number);
    return {};
}

void add_model(CLI::App& app, Options& o) {
    app.add_option("MODEL", o.model, "Hugging Face directory or .gguf file")->required();
}

void add_engine(CLI::App& app, Options& o) {
    add_model(app, o);
    app.add_option("--threads", o.threads, "worker threads (default: one per physical core)")
        ->check(CLI::Range(1, 1024));
    app.add_option("--isa", o.isa, "use no instructions beyond this set")
        ->envname("GEMLET_ISA")
        ->check(CLI::IsMember({"scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "amx", "neon",
                               "dotprod", "i8mm", "sve2"}));
    app.add_option("--memory", "refuse to start when more would be needed, such as 1.5G")
        ->each([&o](const std::string& text) {
            const std::string error = parse_size(text, o.memory_bytes);
            if (!error.empty()) throw CLI::ValidationError("--memory", error);
        });
    app.add_option("--context", o.context, "positions a conversation can hold (default: 32768)");
    app.add_option("--kv", o.kv, "element type of the KV cache")
        ->check(CLI::IsMember({"f32", "f16", "int8"}));
    app.add_option("--ple", o.ple,
                   "where the per-layer table is: disk (rows are read when needed), or ram")
        ->check(CLI::IsMember({"disk", "ram"}));
    app.add_option("--chunk", o.chunk, "prompt rows computed at once")->capture_default_str();
}

/// How media are encoded, whichever they are.
void add_encoders(CLI::App& app, Options& o) {
    app.add_option("--budget", o.budget, "most soft tokens of a picture")
        ->check(CLI::IsMember({70, 140, 280, 560, 1120}))
        ->capture_default_str();
    app.add_option("--frame-budget", o.frame_budget, "most soft tokens of a frame of a video")
        ->check(CLI::IsMember({70, 140, 280, 560, 1120}))
        ->capture_default_str();
    app.add_option("--max-megapixels", o.max_megapixels, "largest picture that is decoded")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    app.add_option("--mmproj", o.mmproj,
                   "GGUF file with the encoder (default: the only one beside the model)")
        ->check(CLI::ExistingFile);
    app.add_option("--vision-precision", o.vision_precision,
                   "how the encoder of pictures multiplies (default: as its weights are stored)")
        ->check(CLI::IsMember({"f32", "int8"}));
    app.add_option("--audio-precision", o.audio_precision, "the same for the encoder of sounds")
        ->check(CLI::IsMember({"f32", "int8"}));
}

void add_media(CLI::App& app, Options& o) {
    app.add_option("--image", o.images,
                   "JPEG, PNG, WebP, GIF, BMP or PPM picture; may be given several times")
        ->check(CLI::ExistingFile);
    app.add_option("--video", o.videos, "video file, of which a frame a second is seen, at most 60")
        ->check(CLI::ExistingFile);
    app.add_option(
           "--audio", o.audios,
           "sound file of at most 30 seconds (WAV, FLAC, Ogg, MP3); for more see transcribe")
        ->check(CLI::ExistingFile);
    add_encoders(app, o);
}

/// Fills Options::media: CLI11 keeps each option's values apart, and the order of the options.
void collect_media(const CLI::App& app, Options& o) {
    size_t n_images = 0;
    size_t n_videos = 0;
    size_t n_audios = 0;
    const auto take = [&](const std::string& name, const std::vector<std::string>& files,
                          size_t& n_taken) {
        if (n_taken < files.size()) o.media.push_back({name, files[n_taken++]});
    };
    for (const CLI::Option* option : app.parse_order()) {
        if (option->check_lname("image")) take("--image", o.images, n_images);
        if (option->check_lname("video")) take("--video", o.videos, n_videos);
        if (option->check_lname("audio")) take("--audio", o.audios, n_audios);
    }
}

void add_sampling(CLI::App& app, Options& o) {
    app.add_option("--seed", o.seed, "seed of the sampler");
    app.add_option("--temperature", o.temperature, "0 takes the likeliest token");
    app.add_option("--top-p", o.top_p, "keep the likeliest tokens up to this probability");
    app.add_option("--top-k", o.top_k, "keep this many tokens (0: all)");
    app.add_option("--min-p", o.min_p, "drop tokens below this share of the likeliest");
    app.add_option("--repetition-penalty", o.repetition_penalty, "above 1 discourages repetition");
    app.add_option("--max-tokens", o.max_tokens, "longest answer (default: what fits)");
    app.add_option("--system", o.system, "system instruction");
    app.add_flag("--think", o.think, "let the model think before it answers");
    app.add_flag("--show-thoughts", o.show_thoughts, "print thoughts with the answer");
    app.add_option("--tools", o.tools_file, "JSON file with tool declarations")
        ->check(CLI::ExistingFile);
}

/// perplexity --compare A B FILE, or A FILE --compare B.
void add_comparison(CLI::App& perplexity, Options& o, CLI::Option* text) {
    CLI::Option* model = perplexity.get_option("MODEL");
    perplexity
        .add_option("--compare", o.compared,
                    "two models: how far the second departs from the first, as divergence (KL) of "
                    "its\nprobabilities and agreement of the likeliest token")
        ->expected(1, 3)  // the text may follow, which is then taken for a third
        ->type_name("A B");
    text->required(false);
    model->required(false);
    perplexity.footer("gemlet perplexity --compare A B FILE");
    perplexity.final_callback([&o] {
        const size_t n = o.compared.size();
        if (n > 1) {
            if (o.file.empty()) o.file = n == 3 ? o.compared[2] : o.model;
            o.model = o.compared[0];
        }
        if (n > 0) o.compare = o.compared[n > 1 ? 1 : 0];
        if (o.model.empty()) throw CLI::RequiredError("MODEL");
        if (o.file.empty()) throw CLI::RequiredError("FILE");
    });
}

void add_conversation(CLI::App& app, Options& o) {
    CLI::App* run = app.add_subcommand("run", "Answer one prompt");
    add_engine(*run, o);
    add_sampling(*run, o);
    run->add_option("-p,--prompt", o.prompt,
                    "the prompt; - (or none, in a pipe) reads it from standard input");
    add_media(*run, o);
    CLI::Option* raw = run->add_flag(
        "--raw", o.raw,
        "no chat format: special strings in the prompt count as specials, the answer is raw too");
    for (const char* name :
         {"--system", "--think", "--show-thoughts", "--tools", "--image", "--video", "--audio"}) {
        raw->excludes(name);
    }
    run->add_flag("--json", o.json,
                  "print one JSON object: the answer, token counts, timings and the seed");
    run->footer(
        "The answer goes to standard output, thoughts to standard error. Each tool call is a line\n"
        "of its own after the answer: {\"name\": .., \"arguments\": {..}}. Ctrl-C ends the "
        "answer;\n"
        "what has come is kept and the exit code is 130. Pictures, videos and sounds stand before "
        "the\nprompt, in the order given.");
    CLI::App* chat = app.add_subcommand("chat", "Talk to the model");
    add_engine(*chat, o);
    add_sampling(*chat, o);
    add_encoders(*chat, o);
    chat->footer(
        "/help lists what can be typed besides messages. Ctrl-C ends an answer, Ctrl-D leaves.");
}

void add_measures(CLI::App& app, Options& o) {
    CLI::App* inspect = app.add_subcommand("inspect", "Show what a model is and what it will take");
    add_engine(*inspect, o);
    add_encoders(*inspect, o);
    inspect->add_flag("--json", o.json, "print as JSON");
    CLI::App* bench = app.add_subcommand("bench", "Measure prefill and decode speed");
    add_engine(*bench, o);
    const auto add_count = [bench](const char* name, size_t& value, const char* help) {
        constexpr int kMost = 1 << 24;  // contexts are shorter
        return bench->add_option(name, value, help)->check(CLI::Range(0, kMost));
    };
    add_count("-p", o.bench_prompt, "prompt tokens")->capture_default_str();
    add_count("-n", o.bench_decode, "decoded tokens")->capture_default_str();
    add_count("-r", o.bench_runs, "runs, of which the median counts")->capture_default_str();
    add_count("--depth", o.bench_depth, "tokens in the context beforehand");
    bench->add_option("--parallel", o.bench_parallel, "sessions decoded together")
        ->check(CLI::Range(1, 64));
    bench->add_option("--seed", o.seed, "seed of the random prompt");
    bench->add_flag("--json", o.json, "print one JSON object");
    CLI::App* perplexity = app.add_subcommand("perplexity", "Perplexity over a text");
    add_engine(*perplexity, o);
    CLI::Option* text = perplexity->add_option("FILE", o.file, "UTF-8 text")->required();
    add_comparison(*perplexity, o, text);
    perplexity->add_option("--window", o.window, "tokens of a window")->capture_default_str();
    perplexity->add_flag("--json", o.json, "print as JSON (the default)");
    perplexity->add_option("--precision", o.precision, "f32 keeps activations in float")
        ->check(CLI::IsMember({"f32", "int8"}));
    CLI::App* logits = app.add_subcommand("logits", "Write the logits of a prompt of token ids");
    add_engine(*logits, o);
    logits->add_option("--ids", o.ids, "token ids, separated by commas")->required();
    logits->add_option("--out", o.out, ".npy file to write")->required();
    logits->add_flag("--all", o.all, "all positions, not just the last");
    logits->add_option("--precision", o.precision, "f32 keeps activations in float")
        ->check(CLI::IsMember({"f32", "int8"}));
    add_media(*logits, o);
    CLI::App* encode =
        app.add_subcommand("encode", "Write what an encoder makes of a picture or a sound");
    add_engine(*encode, o);
    add_encoders(*encode, o);
    CLI::Option_group* input = encode->add_option_group("input");
    input->add_option("--image", o.images, "JPEG, PNG, WebP or PPM picture")
        ->expected(1)
        ->check(CLI::ExistingFile);
    input->add_option("--audio", o.audios, "sound file of at most 30 seconds")
        ->expected(1)
        ->check(CLI::ExistingFile);
    input->require_option(1);
    encode->add_option("--out", o.out, ".npy file to write")->required();
    encode->add_option("--stage", o.stage, "which result: patches of a picture, mel of a sound")
        ->check(CLI::IsMember({"patches", "mel", "encoder", "soft"}))
        ->capture_default_str();
}

void add_quantize(CLI::App& app, Options& o) {
    CLI::App* quantize = app.add_subcommand("quantize", "Make a smaller checkpoint");
    quantize->add_option("SRC", o.model, "Hugging Face directory or .gguf file, BF16, F16 or F32")
        ->required();
    quantize->add_option("DST", o.out, "file to write; a directory for mobile:")->required();
    quantize
        ->add_option("--scheme", o.scheme,
                     "gguf: with q8_0, q6_k, q5_k, q4_k, q4_0, iq4_nl, iq4_xs, q3_k or q2_k: most "
                     "matrices' type;\nothers get finer ones, as in popular files; mobile: with "
                     "w8, w4 or w4w2: "
                     "the QAT mobile\nlayout")
        ->required();
    quantize
        ->add_option("--method", o.method,
                     "round; search for scales; gptq: errors make up for each other (default: the "
                     "best there is)")
        ->check(CLI::IsMember({"round", "search", "gptq"}));
    quantize
        ->add_option("--calibration", o.calibration,
                     "texts that show what the model is used for (default: text, pictures and "
                     "sounds of its own)")
        ->check(CLI::ExistingFile);
    quantize
        ->add_option("--calibration-tokens", o.calibration_tokens, "most tokens of these that run")
        ->check(CLI::Range(64, 1 << 20))
        ->capture_default_str();
    quantize->add_option("--threads", o.threads, "worker threads (default: one per physical core)")
        ->check(CLI::Range(1, 1024));
    quantize->add_flag("--resume", o.resume,
                       "keep what is finished when stopped, and go on from there");
    quantize->add_flag("--json", o.json, "print as JSON (the default)");
    quantize->footer(
        "DST appears when it is complete; a stop or a full disk leaves nothing behind, but with\n"
        "--resume DST.partial. Example: gemlet quantize gemma-4-E2B-it e2b-q4.gguf --scheme "
        "gguf:q4_k");
}

void add_transcribe(CLI::App& app, Options& o) {
    CLI::App* transcribe =
        app.add_subcommand("transcribe", "Write down what recordings say, of any length");
    add_engine(*transcribe, o);
    transcribe->add_option("FILE", o.sounds, "sound files: WAV, FLAC, Ogg, MP3");
    transcribe->add_option("--language", o.language,
                           "spoken language, as a name or a code (de); default: found out");
    transcribe->add_option("--translate-to", o.translate_to, "language to translate into");
    transcribe->add_option("--hints", o.hints, "names and terms whose spelling matters");
    transcribe->add_option("--format", o.format, "of the transcripts (default: txt)")
        ->check(CLI::IsMember({"txt", "json", "srt", "vtt"}));
    transcribe->add_flag("--json", o.json, "the same as --format json");
    CLI::Option* folder = transcribe->add_option(
        "-o,--output", o.output_folder,
        "folder for the transcripts, one file each (default: one recording to standard output)");
    transcribe
        ->add_flag("--resume", o.resume,
                   "go on where an earlier run with the same -o was broken off")
        ->needs(folder);
    transcribe->add_option("--parallel", o.parallel, "pieces decoded together")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    transcribe->add_option("--max-segment-seconds", o.max_segment_seconds, "longest piece, 5 to 30")
        ->check(CLI::Range(5.0, 30.0))
        ->capture_default_str();
    transcribe->add_option("--pause-seconds", o.pause_seconds, "a pause this long ends a piece")
        ->check(CLI::Range(0.2, 5.0))
        ->capture_default_str();
    transcribe->add_flag("--no-retry", o.no_retry, "take every first answer as it is");
    CLI::Option* live = transcribe->add_flag("--live", o.live,
                                             "lines as they are spoken; sound from standard input");
    transcribe
        ->add_option("--stdin-rate", o.stdin_rate,
                     "standard input is raw 16-bit mono sound of so many samples a second")
        ->check(CLI::Range(1000.0, 768000.0));
    live->excludes(folder);
    transcribe
        ->add_option("--mmproj", o.mmproj,
                     "GGUF file with the encoder (default: the only one beside the model)")
        ->check(CLI::ExistingFile);
    transcribe
        ->add_option("--audio-precision", o.audio_precision,
                     "how the encoder multiplies (default: as its weights are stored)")
        ->check(CLI::IsMember({"f32", "int8"}));
    transcribe->footer(
        "With -o every recording gets a file of its own name, put there when it is complete; until "
        "then\na journal beside it holds what is finished. With --live a line that begins with ~ "
        "is "
        "a draft; with\n--format json every line is an object.\n"
        "Example: arecord -f S16_LE -r 16000 | gemlet transcribe MODEL --live --stdin-rate 16000");
}

void add_serve_limits(CLI::App& app, Options& o) {
    app.add_option("--timeout", o.timeout_s, "seconds a client may take for what it sends")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    const auto size = [&app](const std::string& name, uint64_t& bytes, const std::string& help) {
        app.add_option(name, help)->each([name, &bytes](const std::string& text) {
            const std::string error = parse_size(text, bytes);
            if (!error.empty()) throw CLI::ValidationError(name, error);
        });
    };
    const auto count = [&app](const std::string& name, size_t& n, size_t most,
                              const std::string& help) {
        app.add_option(name, n, help)->check(CLI::Range(size_t{0}, most))->capture_default_str();
    };
    size("--max-body", o.max_body_bytes,
         "largest request without a recording, such as 16M (default 64M)");
    size("--max-recording", o.max_recording_bytes,
         "largest recording to transcribe, such as 500M (default 100M)");
    app.add_option("--max-minutes", o.max_recording_minutes,
                   "longest recording to transcribe, in minutes")
        ->check(CLI::Range(1.0, 10000.0))
        ->capture_default_str();
    count("--max-media", o.max_media, 1000, "most pictures, sounds and videos of a chat");
    size("--max-picture", o.max_picture_bytes, "largest file of a picture (default 20M)");
    count("--max-messages", o.max_messages, 1000000, "most messages of a chat");
    count("--max-tools", o.max_tools, 10000, "most functions of a chat");
    size("--max-schemas", o.max_schema_bytes,
         "largest declarations of the functions, or schema of an answer (default 256K)");
    count("--max-depth", o.max_depth, 200, "deepest nesting of JSON");
    app.add_flag("--audio-chunk", o.audio_chunk,
                 "cut sounds of chats that are longer than 30 seconds into pieces");
    app.add_option("--media-path", o.media_path,
                   "folder whose pictures chats may name as file://NAME (default: none)")
        ->check(CLI::ExistingDirectory);
}

void add_serve(CLI::App& app, Options& o) {
    CLI::App* serve =
        app.add_subcommand("serve", "Answer programs over HTTP, in the form of the OpenAI API");
    add_engine(*serve, o);
    add_encoders(*serve, o);
    serve->add_option("--host", o.host, "address to listen on")->capture_default_str();
    serve->add_option("--port", o.port, "port to listen on (0: any that is free)")
        ->check(CLI::Range(0, 65535))
        ->capture_default_str();
    serve
        ->add_option("--parallel", o.slots,
                     "chats answered together, each with a context of its own (default: 1 to 4, "
                     "by the number of cores)")
        ->check(CLI::Range(1, 64));
    serve->add_option("--queue", o.queue, "chats that may wait; more are refused")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    serve
        ->add_option("--speech-parallel", o.speech_slots,
                     "pieces of a recording transcribed together, beside the chats")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    serve->add_option("--api-key", o.api_key, "clients must send it")->envname("GEMLET_API_KEY");
    serve->add_option("--alias", o.alias, "name of the model (default: after its file)");
    serve->add_flag("--strict-model", o.strict_model, "refuse requests for models of other names");
    serve->add_option("--cors", o.cors, "origin whose pages may ask, or *");
    add_serve_limits(*serve, o);
    serve->add_flag("--log", o.log, "a line to stderr for every request");
    serve->add_flag("--log-prompts", o.log_prompts, "and what it asks: others' words, on a screen");
    serve->add_flag("--metrics-compat", o.metrics_compat,
                    "metrics under llama-server's names as well");
    serve->footer(
        "Listens on this machine only unless --host says otherwise, and opens no "
        "connections of its own.\nCtrl-C finishes what is running, for at most five "
        "seconds; a second one ends at once.");
}

void add_text_tools(CLI::App& app, Options& o) {
    const auto optional_text = [&o](CLI::App* command, const char* name, const char* help) {
        command->add_option(name, o.text, help);
        command->add_flag(
            "--jsonl", o.jsonl,
            "one JSON value per line in and out; {\"error\": ..} for a line that is none");
    };
    CLI::App* tokenize = app.add_subcommand("tokenize", "Text to token ids");
    add_model(*tokenize, o);
    optional_text(tokenize, "TEXT", "the text (default: standard input)");
    tokenize->add_flag("--special", o.special, "special strings in the text become their ids");
    CLI::App* detokenize = app.add_subcommand("detokenize", "Token ids to text");
    add_model(*detokenize, o);
    optional_text(detokenize, "IDS", "ids, separated by commas or as a JSON array");
    detokenize->add_flag("--skip-special", o.skip_special, "leave out special tokens");
    CLI::App* render = app.add_subcommand("render", "Messages to the exact prompt");
    add_model(*render, o);
    optional_text(render, "FILE",
                  "JSON file with messages, tools and flags (default: standard input)");
    render->add_option("--template", o.template_name, "use this template instead of the model's")
        ->check(CLI::IsMember({"e2b", "31b"}));
    CLI::App* parse = app.add_subcommand("parse", "Raw model text to thoughts, content and calls");
    add_model(*parse, o);
    parse->add_flag("--jsonl", o.jsonl, "one JSON object per line in and out");
}

/// The library would read -1 as a very large count, and what does not fit as the largest.
void refuse_wrapped_counts(CLI::App& app) {
    const auto fault_of = [](const std::string& text) -> std::string {
        uint64_t value = 0;
        const char* end = text.data() + text.size();
        const auto [read_to, error] = std::from_chars(text.data(), end, value);
        const bool whole = error == std::errc() && read_to == end;
        return whole ? "" : text + " is not a whole number from 0 on";
    };
    for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
        for (CLI::Option* option : command->get_options()) {
            if (option->get_type_name().starts_with("UINT")) option->check(fault_of, "");
        }
    }
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
    ParsedOptions parsed;
    Options& o = parsed.options;
    CLI::App app("gemlet runs Gemma 4 on the CPU you have: private, offline, small.", "gemlet");
    app.set_version_flag("--version", kVersion);
    app.require_subcommand(1);
    app.failure_message(CLI::FailureMessage::help);
    app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
        return "gemlet: " + std::string(error.what()) + "\nTry: " + failed->get_name() +
               " --help\n";
    });
    add_conversation(app, o);
    add_measures(app, o);
    add_quantize(app, o);
    add_transcribe(app, o);
    add_serve(app, o);
    add_text_tools(app, o);
    refuse_wrapped_counts(app);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        parsed.done = true;
        parsed.exit_code = app.exit(error) == 0 ? 0 : 2;
        return parsed;
    }
    const CLI::App* chosen = app.get_subcommands().front();
    o.command = chosen->get_name();
    collect_media(*chosen, o);
    for (const char* name : {"TEXT", "IDS", "FILE"}) {
        const CLI::Option* option = chosen->get_option_no_throw(name);
        if (option != nullptr && option->count() > 0) o.has_text = true;
    }
    if (const CLI::Option* prompt = chosen->get_option_no_throw("--prompt"); prompt != nullptr) {
        o.has_prompt = prompt->count() > 0;
    }
    return parsed;
}

}  // namespace gemlet
